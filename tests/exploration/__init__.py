"""Every message at every pause of every role, version and mode, held against the RFCs' graphs."""
