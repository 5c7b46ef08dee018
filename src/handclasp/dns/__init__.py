"""Configurations for Encrypted Client Hello out of the DNS: HTTPS records (RFC 9460, RFC 9848).

    endpoint = lookup_ech("secret.example", doh="https://dns.example/dns-query")
    config = ClientConfig(ech=endpoint.configs)
    tls = connect(endpoint.addresses[0], endpoint.port, config, server_name="secret.example")

Nothing in the library asks the DNS for them by itself. It needs the extra `handclasp[dns]`
(dnspython). docs/ech.md tells when the query itself gives the name away.
"""

from __future__ import annotations

from handclasp.dns.errors import DnsError, NoEchError
from handclasp.dns.lookup import check_lookup, lookup_ech, lookup_ech_async
from handclasp.dns.records import HttpsEndpoint

__all__ = [
    "lookup_ech",
    "lookup_ech_async",
    "check_lookup",
    "HttpsEndpoint",
    "DnsError",
    "NoEchError",
]
