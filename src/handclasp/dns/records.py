"""From HTTPS records to an endpoint: aliases, priorities and parameters (RFC 9460, RFC 9848).

The steps are a generator which yields what to ask for and takes the answers, so that they are the
same for every way to ask.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Literal, TypeAlias

from handclasp.certificates.names import host_problem, ip_address, normal_name
from handclasp.dns.errors import DnsError, NoEchError
from handclasp.ech import EchConfigList
from handclasp.errors import ConfigurationError
from handclasp.values import dataclass, replace
from handclasp.wording import listed, printable

HTTPS_PORT = 443

MOST_ALIASES = 4
"""The aliases (AliasMode) that are followed one after the other. CNAMEs are not counted here: an
answer has them all, and dnspython follows 16."""

MOST_RECORDS = 64
"""The records of a name that are read, by priority."""

_MANDATORY, _PORT, _ECH = 0, 3, 5
_KNOWN = frozenset((1, 2, _PORT, 4, _ECH, 6))
"""The parameters that a record may demand: alpn, no-default-alpn, port, ipv4hint, ech, ipv6hint.

Which protocol is spoken is the caller's affair, and hints are addresses that need not be used.
"""

_LONGEST_REASON, _ROOM = 100, 300
"""Characters of a reason why a record cannot be used, and of the first of them together."""

MOST_ADDRESSES = 16
"""The addresses of each kind that are kept."""

AddressKind: TypeAlias = Literal["AAAA", "A"]


@dataclass(frozen=True, slots=True)
class Question:
    """A question to the DNS: for the records of one kind of a name."""

    name: str
    kind: Literal["HTTPS"] | AddressKind = "HTTPS"

    @property
    def what(self) -> str:
        """The records that are asked for, in words."""
        return "HTTPS record" if self.kind == "HTTPS" else f"address ({self.kind})"


@dataclass(frozen=True, slots=True)
class Found:
    """The records that were asked for (rdata of dnspython), and the name that has them.

    It is another name than the one that was asked for if CNAMEs lead there.
    """

    owner: str
    records: Sequence[Any]


Steps = Generator[Question, Found, "HttpsEndpoint"]


@dataclass(frozen=True, slots=True)
class HttpsEndpoint:
    """A place where a server can be reached with an encrypted hello.

    The certificate is still verified for the name that was looked up, and not for `host`.

    >>> from handclasp.dns import HttpsEndpoint
    >>> configs = EchConfigList(EchKey.generate("public.example").configs)
    >>> endpoint = HttpsEndpoint("cdn.example", 443, configs)
    >>> config = ClientConfig(ech=endpoint.configs)

    Attributes:
        host: the name whose addresses to connect to (TargetName).
        port: the port to connect to.
        configs: the ECH configurations of that place; one at least can be used.
        addresses: the IP addresses of `host`, those of IPv6 first, if they were asked from the same
            DNS server over HTTPS; else empty. Connect to one of these: who connects to `host`
            asks the system's resolver for it, in most cases in the clear.
    """

    host: str
    port: int
    configs: EchConfigList
    addresses: tuple[str, ...] = ()


def steps(name: str, port: int, *, addresses: bool = False) -> Steps:
    """Find the endpoint of a server (RFC 9460 section 3).

    Yields what is to be looked up, and is sent what was found.

    Args:
        name: of the server, in normal form.
        port: the port of its URL.
        addresses: whether to ask for the addresses of the endpoint as well.

    Raises:
        NoEchError: there is none with an ECH configuration.
        DnsError: a record is malformed, there are too many aliases, or no address was found.
    """
    endpoint = yield from _endpoint_steps(name, port)
    if not addresses:
        return endpoint
    found: list[str] = []
    for kind in _ADDRESS_KINDS:
        records = (yield Question(endpoint.host, kind)).records
        found += [str(each.address) for each in records[:MOST_ADDRESSES]]
    if not found:
        raise DnsError(f"The DNS server has no address for {endpoint.host}.")
    return replace(endpoint, addresses=tuple(dict.fromkeys(found)))


_ADDRESS_KINDS: tuple[AddressKind, ...] = ("AAAA", "A")


def _endpoint_steps(name: str, port: int) -> Steps:
    # RFC 9460 section 9.1; an alias leads to a name without such a prefix.
    query = name if port == HTTPS_PORT else f"_{port}._https.{name}"
    for _ in range(MOST_ALIASES + 1):
        answer = yield Question(query)
        if not answer.records:
            raise NoEchError(f"{query} has no HTTPS record, and so no ECH configuration.")
        alias = next((each for each in answer.records if each.priority == 0), None)
        if alias is None:
            return _endpoint(answer, query, port)
        target = _text(alias.target)
        if not target:
            raise NoEchError(f"The HTTPS record of {query} says that there is no such service.")
        query = target
    raise DnsError(f"The HTTPS records of {name} are more than {MOST_ALIASES} aliases in a row.")


def _endpoint(found: Found, query: str, port: int) -> HttpsEndpoint:
    """Return the first endpoint, by priority, of which a configuration can be used."""
    reasons: list[str] = []
    for each in sorted(found.records, key=_priority)[:MOST_RECORDS]:
        parameters = each.params
        mandatory = parameters.get(_MANDATORY)
        if mandatory is not None and not _KNOWN.issuperset(map(int, mandatory.keys)):
            reasons.append("a record demands parameters that this library does not know")
            continue
        parameter = parameters.get(_ECH)
        if parameter is None:
            reasons.append("a record has no parameter ech")
            continue
        try:
            configs = EchConfigList.from_bytes(parameter.ech)
        except ConfigurationError as error:
            raise DnsError.malformed(query, str(error).rstrip(".")) from None
        if configs.usable is None:
            reasons += configs.problems()
            continue
        given = parameters.get(_PORT)
        # RFC 9460 section 2.5.2: "." is the owner of the record.
        host = _host(_text(each.target) or found.owner, query)
        if given is not None and not given.port:
            raise DnsError.malformed(query, f"it has port 0 for {host}")
        return HttpsEndpoint(host, port if given is None else given.port, configs)
    why = listed(list(dict.fromkeys(reasons)), longest=_LONGEST_REASON, room=_ROOM)
    raise NoEchError(f"The HTTPS records of {query} have no ECH configuration to use: {why}.")


def _host(name: str, query: str) -> str:
    """Return the normal name of a host to connect to. Raises `DnsError`."""
    try:
        normal = normal_name(name)
    except ConfigurationError:
        normal = ""
    # Underscores are fine in a name of the DNS: the record of another port has them itself. But who
    # connects takes a name such as 0x7f.1 for an address.
    if not normal or ip_address(normal) is not None or host_problem(normal.replace("_", "a")):
        raise DnsError.malformed(query, f"its target {printable(name)!r} is no host's name")
    return normal


def _priority(record: Any) -> int:
    return int(record.priority)


def _text(name: Any) -> str:
    """Return a name without the dot at its end; empty for the root."""
    text: str = name.to_text(omit_final_dot=True)
    return "" if text in (".", "@") else text
