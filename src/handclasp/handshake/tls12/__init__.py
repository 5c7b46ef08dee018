"""The handshakes of TLS 1.2 (RFC 5246), and what may follow them."""
