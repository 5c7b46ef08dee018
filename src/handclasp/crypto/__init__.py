"""Parameters, and thin wrappers of `cryptography`; the library has no arithmetic of its own.

It may import iana and errors. `suites`, `groups` and `signatures` each hold one table from the
IANA names to the algorithms; `hkdf` is the key derivation of RFC 8446 section 7.1.
"""
