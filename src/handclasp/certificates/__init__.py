"""Who is who: this side's credentials, the authorities it trusts, and the verdict on a peer.

It may import `crypto`, `errors`, `faults` and `wire.iana`. cryptography.x509 costs more to import
than all of the rest, so every module here imports it inside the functions that need it.
Start with `verify`, which makes the trust decision; `refusal` says why one came out as no.
"""
