"""Reading what others said: a TCP conversation out of a capture, as the events of a trace.

It may import record, keys, crypto, wire, trace, story, errors and faults, and nobody but the
command line imports it. `tshark` reads a file of packets by having Wireshark's program take it
apart, and alone of these modules runs anything; `segments` puts together what it found, and
`stream` is what it hands over. `secrets` is the key log that opens a conversation. `observe` follows
its two sides, with the record protection and key schedule that a connection of our own uses:
`records` opens what `key_changes` has keys for, `messages` follows what is inside, `agreed`,
`ending` and `outcome` tell what came of it, and `conversation` is what all of them know. Start with
`observe`.
"""
