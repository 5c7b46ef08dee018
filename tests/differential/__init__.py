"""The same broken hellos for our server, OpenSSL's and Go's, and what they make of them."""
