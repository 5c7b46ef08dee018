"""Reading what others said: a TCP conversation out of a capture, as the events of a trace.

It may import record, keys, crypto, wire, trace, story, errors and faults; only the command line
imports it. `tshark` has Wireshark's program read a file, alone of these modules runs anything, and
gives a `stream`; `secrets` is the key log that opens it. `observe` follows its two ends: `records`
opens what `key_changes` has keys for, `messages` follows what is inside; `agreed`, `ending` and
`outcome` tell what came of it, and `conversation` is what they all know. Start with `observe`.
"""
