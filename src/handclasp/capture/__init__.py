"""Conversations of other programs: a TCP connection of a capture, as the events of a trace.

Only the command line imports it. `tshark` has Wireshark's read a file and `relay` records what it
passes on (`watching`, `proxy_head`); both return a `stream`, and `secrets` is the key log that
decrypts it. `observe` follows both ends: `records` opens records with the keys of `key_changes`,
`messages` follows their content; `agreed`, `ending` and `outcome` determine the result, and
`conversation` is their common state. Start with `observe`.
"""
