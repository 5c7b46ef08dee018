"""What is left of strangers when they are gone: nothing that grows with their number."""
