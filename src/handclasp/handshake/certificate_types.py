"""The type of certificate that each side shows: X.509, or a raw public key (RFC 7250).

The types of the two sides are apart: server_certificate_type is about what the server shows,
client_certificate_type about what the client does. A client that sends neither means X.509. The
answers stand in EncryptedExtensions, or in the ServerHello of TLS 1.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from handclasp.advice import CREDENTIALS, OWN_RAW_PUBLIC_KEY, RAW_PUBLIC_KEYS, TRUST
from handclasp.config import ClientAuth, ClientConfig, ServerConfig
from handclasp.errors import ProtocolError
from handclasp.faults import Blame, Fault, Verdict, advice
from handclasp.handshake.disagreement import no_overlap
from handclasp.iana import CERTIFICATE_TYPES, ExtensionType, certificate_type_name
from handclasp.wire import extensions as ext

SERVER_TYPE = ExtensionType.SERVER_CERTIFICATE_TYPE
CLIENT_TYPE = ExtensionType.CLIENT_CERTIFICATE_TYPE


def offering_extensions(
    server_types: tuple[str, ...], client_types: tuple[str, ...]
) -> dict[int, bytes]:
    """Return a client's extensions, which are left out for X.509 alone (RFC 7250 section 4.1)."""
    return {
        kind: ext.write_certificate_types([CERTIFICATE_TYPES[name] for name in types])
        for kind, types in ((SERVER_TYPE, server_types), (CLIENT_TYPE, client_types))
        if types != ("X509",)
    }


def read_offered_types(extensions: Mapping[int, bytes], kind: ExtensionType) -> tuple[str, ...]:
    """Return the types that a client takes or has, best first (RFC 7250 section 4.1)."""
    data = extensions.get(kind)
    if data is None:
        return ("X509",)
    types = dict.fromkeys(ext.read_certificate_types(data, kind.name.lower()))
    return tuple([certificate_type_name(code) for code in types])


def offered_server_types(data: bytes) -> tuple[str, ...]:
    """Out of server_certificate_type."""
    return read_offered_types({SERVER_TYPE: data}, SERVER_TYPE)


def offered_client_types(data: bytes) -> tuple[str, ...]:
    """Out of client_certificate_type."""
    return read_offered_types({CLIENT_TYPE: data}, CLIENT_TYPE)


def choose_server_types(config: ServerConfig, offered: tuple[str, ...]) -> tuple[str, ...]:
    """Return the types that this server may show a client that takes `offered`, best first.

    Raises:
        ProtocolError: there is none (unsupported_certificate, RFC 7250 section 4.2).
    """
    own = config.server_certificate_types
    if own is None:
        return offered  # The types that this side holds count when it chooses its credentials.
    shared = _shared(offered, own, offered_first=config.prefer_client_order)
    if not shared:
        raise no_server_type(offered, own)
    return shared


def choose_client_type(
    config: ServerConfig, offered: tuple[str, ...], *, is_explicit: bool
) -> str | None:
    """Return the type that the client is asked for, or None (RFC 7250 section 4.2).

    Args:
        is_explicit: whether the client named the types that it has. One that named none may be let
            in without a certificate; with one that did, there must be a type in common.

    Raises:
        ProtocolError: there is none, and must be (unsupported_certificate).
    """
    if config.client_auth is ClientAuth.NONE:
        return None
    own = config.peer_certificate_types
    has_order = config.client_certificate_types is not None and not config.prefer_client_order
    shared = _shared(offered, own, offered_first=not has_order)
    if shared:
        return shared[0]
    if is_explicit or config.client_auth is ClientAuth.REQUIRED:
        raise _no_client_type(offered, own)
    return None


def no_server_type(offered: Sequence[str], own: Sequence[str]) -> ProtocolError:
    """Return the error of a server that has none of the types that a client takes."""
    if "X509" in own:
        fix_peer = "Trust the certificate of this server, as it has no raw public key."
        fix_local = f"Give this server a raw public key as well ({OWN_RAW_PUBLIC_KEY})."
        verdict = Verdict(
            Blame.PEER,
            "which takes a raw public key alone, unless this server is meant to have one",
        )
    else:
        fix_peer = "Expect the raw public key of this server, as it has no certificate."
        fix_local = f"Give this server a certificate as well ({CREDENTIALS})."
        verdict = None
    return ProtocolError(
        Fault.NO_SHARED_CERTIFICATE_TYPE,
        f"of the server; {no_overlap(offered, own)}",
        fix=advice(fix_peer, fix_local),
        verdict=verdict,
    )


def _no_client_type(offered: Sequence[str], own: Sequence[str]) -> ProtocolError:
    """Return the error of a server that takes none of the types that a client has."""
    if "X509" in own:
        fix_peer = "Show a certificate of an authority that this server trusts."
        fix_local = f"Know this client by its raw public key ({RAW_PUBLIC_KEYS})."
    else:
        fix_peer = "Show a raw public key that this server knows."
        fix_local = f"Trust the authority of the client's certificate ({TRUST})."
    return ProtocolError(
        Fault.NO_SHARED_CERTIFICATE_TYPE,
        f"of the client; {no_overlap(offered, own)}",
        fix=advice(fix_peer, fix_local),
    )


def _shared(offered: Sequence[str], own: Sequence[str], *, offered_first: bool) -> tuple[str, ...]:
    """Return the types of both lists, in the order of the first."""
    first, second = (offered, own) if offered_first else (own, offered)
    return tuple([name for name in first if name in second])


def answering_extensions(
    asked: Mapping[int, bytes], server_type: str, client_type: str | None
) -> dict[int, bytes]:
    """Return a server's answers to the client's lists, if it sent any (RFC 7250 section 4.2)."""
    chosen: dict[int, bytes] = {}
    if SERVER_TYPE in asked:
        chosen[SERVER_TYPE] = ext.write_selected_certificate_type(CERTIFICATE_TYPES[server_type])
    if client_type is not None and CLIENT_TYPE in asked:
        chosen[CLIENT_TYPE] = ext.write_selected_certificate_type(CERTIFICATE_TYPES[client_type])
    return chosen


def read_selected_types(
    extensions: Mapping[int, bytes], config: ClientConfig, *, resumes: bool
) -> tuple[str, str]:
    """Return the server's type, and that of this side if it is asked (RFC 7250 section 4.2).

    Args:
        resumes: whether the server shows nothing now; then it need not say what it would show.

    Raises:
        ProtocolError: a type that was not offered, or one that this side does not take.
    """
    accepted = config.peer_certificate_types
    server_type = _selected(extensions, accepted, SERVER_TYPE)
    if server_type not in accepted and not resumes:
        raise ProtocolError(
            Fault.NO_SHARED_CERTIFICATE_TYPE,
            "the server shows a certificate, not a raw public key",
            fix=advice(
                "Give the server a raw public key, if clients are to know it by that.",
                f"Trust the server's certificate instead ({TRUST}).",
            ),
            verdict=Verdict(
                Blame.LOCAL,
                "which takes a raw public key alone, unless the server is meant to have one",
            ),
        )
    return server_type, _selected(extensions, config.own_certificate_types, CLIENT_TYPE)


def _selected(extensions: Mapping[int, bytes], offered: Sequence[str], kind: ExtensionType) -> str:
    data = extensions.get(kind)
    if data is None:
        return "X509"
    name = certificate_type_name(ext.read_selected_certificate_type(data, kind.name.lower()))
    if name not in offered:
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"the server chose {name}, which was not offered")
    return name
