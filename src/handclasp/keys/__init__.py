"""The secrets of a connection: the transcript and the key schedule built on it.

It may import crypto and wire. Start with `schedule13`, a class for each stage of the picture in
RFC 9846 section 7.1; every secret is a `Secret`, which never shows itself.
"""
