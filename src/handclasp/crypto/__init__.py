"""Parameters and thin names over `cryptography`; no arithmetic of our own.

It may import wire.iana and errors. `suites`, `groups` and `signatures` each hold one table from
the IANA name to what can be done with it; `hkdf` is the key derivation of RFC 8446 section 7.1.
"""
