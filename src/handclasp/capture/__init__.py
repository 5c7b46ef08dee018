"""Reading what others said: a TCP conversation out of a capture, as the events of a trace.

It may import record, keys, crypto, wire, trace, story, errors and faults, and nobody but the
command line imports it. `tshark` reads a file of packets by having Wireshark's program take it
apart, and alone of these modules runs anything; `segments` puts together what it found, and
`stream` is what it hands over. `secrets` is the key log that opens a conversation, and `observe`
follows its two sides through the same record layer and key schedule that a connection of our own
uses. Start with `observe`.
"""
