"""Bytes to values and back: the TLS presentation language (RFC 8446 section 3).

It has neither cryptography nor state. It may import the leaves `errors` and `faults` only. Start
with `messages`: one frozen dataclass per handshake message, each with its struct in the docstring
and a pair of read and write functions; `iana` holds the registered numbers and names.
"""
