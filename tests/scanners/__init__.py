"""What programs of other people, which judge TLS servers, say of `handclasp serve`."""
