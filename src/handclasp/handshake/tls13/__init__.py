"""The handshakes of TLS 1.3 (RFC 8446), and what may follow them."""
