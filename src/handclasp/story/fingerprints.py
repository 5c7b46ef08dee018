"""JA3 and JA4, fingerprints of a ClientHello that identify a client's software.

Neither identifies a person: all users of the same version of a browser have the same one. JA3
(Salesforce, 2017) depends on the order of the extensions, which browsers now shuffle, so that it
differs each time; JA4 (FoxIO, 2023) sorts them first.

>>> from handclasp.story import fingerprints
>>> recorder = Recorder()
>>> handclasp.connect("example.com", 443, ClientConfig(grease=False), trace=recorder).close()
>>> ja3, ja4 = fingerprints.fingerprints_of(recorder.events)
>>> ja4.value[:3], len(ja3.value)
('t13', 32)

`all_fingerprints_of` is for a hello that was sent again, and `ja3_of` and `ja4_of` take a hello
that was read. `Ja3` and `Ja4` consist of each `Part` with its meaning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from handclasp.errors import ProtocolError
from handclasp.iana import GREASE_VALUES, version_name
from handclasp.iana import ExtensionType as Ext
from handclasp.story.recorded import message_of
from handclasp.trace.events import MessageSeen, TraceEvent
from handclasp.values import dataclass
from handclasp.wire import extensions
from handclasp.wire.messages import ClientHello


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a fingerprint, and its meaning."""

    text: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Ja3:
    """Five lists of decimal numbers, and the MD5 of them in hexadecimal."""

    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        return ",".join(part.text for part in self.parts)

    @property
    def value(self) -> str:
        return hashlib.md5(self.text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Ja4:
    """A readable part, and two digests of long lists.

    Attributes:
        parts: the parts of the first section, in order.
        suites: the cipher suites, sorted; the second section is a digest of them.
        extensions: the extensions, sorted, and the signature schemes in the client's order; the
            third section is a digest of them.
    """

    parts: tuple[Part, ...]
    suites: str
    extensions: str

    @property
    def value(self) -> str:
        return f"{self.readable}_{_digest(self.suites)}_{_digest(self.extensions)}"

    @property
    def readable(self) -> str:
        """The first section."""
        return "".join(part.text for part in self.parts)

    @property
    def raw(self) -> str:
        """The fingerprint with the lists themselves, known as JA4_r."""
        return f"{self.readable}_{self.suites}_{self.extensions}"


def fingerprints_of(events: Sequence[TraceEvent]) -> tuple[Ja3, Ja4] | None:
    """Return the fingerprints of the first ClientHello in a trace; None if there is no readable
    one.
    """
    return next(_fingerprints(events), None)


def all_fingerprints_of(events: Sequence[TraceEvent]) -> list[tuple[Ja3, Ja4]]:
    """Return the fingerprints of each ClientHello in the clear: the second one, after a
    HelloRetryRequest, may have others.
    """
    return list(_fingerprints(events))


def _fingerprints(events: Sequence[TraceEvent]) -> Iterator[tuple[Ja3, Ja4]]:
    for event in events:
        if isinstance(event, MessageSeen) and event.epoch == "plaintext":
            message = message_of(event)
            if isinstance(message, ClientHello):
                yield ja3_of(message), ja4_of(message)


def ja3_of(hello: ClientHello) -> Ja3:
    """Return the JA3 of a client."""
    groups = _list(hello, Ext.SUPPORTED_GROUPS)
    formats = _list(hello, Ext.EC_POINT_FORMATS)
    return Ja3(
        (
            Part(str(hello.legacy_version), "the version in the hello"),
            Part(_dashed(hello.cipher_suites), "cipher suites"),
            Part(_dashed(hello.extensions), "extensions, in the order in which they stand"),
            Part(_dashed(groups), "groups"),
            Part("-".join(map(str, formats)), "forms of points"),
        )
    )


def ja4_of(hello: ClientHello) -> Ja4:
    """Return the JA4 of a client over TCP."""
    suites = _real(hello.cipher_suites)
    kinds = _real(hello.extensions)
    schemes = _hex(_real(_list(hello, Ext.SIGNATURE_ALGORITHMS)))
    sorted_kinds = _hex(sorted(set(kinds) - {Ext.SERVER_NAME, _ALPN}))
    version = max(_real(_list(hello, Ext.SUPPORTED_VERSIONS)), default=hello.legacy_version)
    named = Ext.SERVER_NAME in hello.extensions
    parts = (
        Part("t", "over TCP"),
        Part(_VERSIONS.get(version, "00"), f"the best version: {version_name(version)}"),
        Part("d" if named else "i", "a name is asked for" if named else "no name is asked for"),
        Part(f"{min(len(suites), 99):02}", f"{len(suites)} cipher suites"),
        Part(f"{min(len(kinds), 99):02}", f"{len(kinds)} extensions"),
        Part(*_first_protocol(hello)),
    )
    return Ja4(
        parts,
        suites=_hex(sorted(suites)),
        extensions=f"{sorted_kinds}_{schemes}" if schemes else sorted_kinds,
    )


_ALPN = Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION
_VERSIONS = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2"}


def _first_protocol(hello: ClientHello) -> tuple[str, str]:
    """Return the first and last character of the first protocol; if it is not text, those of its
    bytes in hexadecimal.
    """
    data = hello.extensions.get(_ALPN)
    try:
        protocols = extensions.read_alpn(data) if data is not None else ()
    except ProtocolError:
        protocols = ()
    if not protocols:
        return "00", "no protocol is asked for"
    name = protocols[0]
    ends = bytes([name[0], name[-1]])
    text = ends.decode() if ends.isascii() and ends.isalnum() else name.hex()
    told = name.decode("ascii", "backslashreplace")
    return text[0] + text[-1], f"the first protocol: {told}"


def _list(hello: ClientHello, kind: Ext) -> Iterable[int]:
    data = hello.extensions.get(kind)
    try:
        return _READ[kind](data) if data is not None else ()
    except ProtocolError:
        return ()


_READ = {
    Ext.SUPPORTED_GROUPS: extensions.read_supported_groups,
    Ext.EC_POINT_FORMATS: extensions.read_ec_point_formats,
    Ext.SIGNATURE_ALGORITHMS: extensions.read_signature_algorithms,
    Ext.SUPPORTED_VERSIONS: extensions.read_supported_versions,
}


def _real(numbers: Iterable[int]) -> list[int]:
    """Return the numbers without the reserved ones (GREASE, RFC 8701)."""
    return [number for number in numbers if number not in GREASE_VALUES]


def _dashed(numbers: Iterable[int]) -> str:
    return "-".join(map(str, _real(numbers)))


def _hex(numbers: Iterable[int]) -> str:
    return ",".join(f"{number:04x}" for number in numbers)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "0" * 12
