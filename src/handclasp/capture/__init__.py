"""Reading what others said: a TCP conversation out of a capture, as the events of a trace.

It may import record, keys, crypto, wire, trace, errors and faults, and nobody below the command
line imports it. `stream` is what a capture's reader hands over, `secrets` the key log that opens
it, `observe` follows the two sides through the same record layer and key schedule that a
connection of our own uses. Start with `observe`.
"""
