"""Records: the port over TCP, and what protects a record (RFC 9846 section 5).

It may import keys, wire and crypto. Start with `layer`, which says what protects each direction;
`protection13` seals and opens one record. The loop over the records that come is `record_loop`.
"""
