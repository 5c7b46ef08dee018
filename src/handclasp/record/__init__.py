"""Records: framing, protection, and the handshake messages inside them (RFC 8446 section 5).

It may import keys, wire and crypto. Start with `layer`; `protection13` seals and opens one record,
`reassembly` puts handshake messages together again.
"""
