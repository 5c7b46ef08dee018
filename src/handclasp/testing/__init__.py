"""Peers that misbehave in a named way, to test TLS clients and servers of any kind against.

Start with `scripted`, a peer whose messages can be changed one by one. The core imports nothing
from here.
"""
