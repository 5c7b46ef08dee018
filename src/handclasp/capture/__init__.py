"""Conversations of other programs: a TCP connection of a capture, as the events of a trace.

It may import record, keys, crypto, wire, trace, story, errors and faults; only the command line
imports it. `tshark`, the only module that runs a program, lets Wireshark's read a file, and returns
a `stream`; `secrets` is the key log that decrypts it. `observe` follows both ends: `records` opens
records with the keys of `key_changes`, `messages` follows their content; `agreed`, `ending` and
`outcome` determine the result, and `conversation` is their common state. Start with `observe`.
"""
