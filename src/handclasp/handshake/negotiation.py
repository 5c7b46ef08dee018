"""The choices of a handshake as pure functions: offers in, one choice or a fault out.

The rules, for the server (the client has only to check that the answer was offered):

- cipher suite and group: the server's order decides, or the client's with `prefer_client_order`;
- a group for which the client sent a share is taken before one that costs a HelloRetryRequest;
- application protocol: the server's order decides, and no overlap is a fault, unless one side
  does not speak ALPN at all;
- credentials: of those that can sign with a scheme of the client and are of a type that it takes,
  the first that covers the name; among equals one of an authority that the client knows is taken
  before the others. Without one that covers the name, the first, unless `strict_server_name`.

A client shows the first of its credentials that the server can use, and takes one of an authority
that the server named before the others. If there is none of these, it still shows one: the
server's unknown_ca tells the cause, where silence would tell nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from handclasp.certificates.credentials import Credentials
from handclasp.crypto.signatures import SIGNATURE_SCHEMES
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.certificate_types import no_server_type
from handclasp.handshake.disagreement import disagreement
from handclasp.questions import ChooseCredentials
from handclasp.wire.extensions import read_alpn


def first_shared(
    offered: Sequence[str], acceptable: Sequence[str], *, prefer_offered: bool = False
) -> str | None:
    """Return the first name that both lists hold, in the order of `acceptable` or of `offered`."""
    if prefer_offered:
        offered, acceptable = acceptable, offered
    for name in acceptable:
        if name in offered:
            return name
    return None


def choose_cipher_suite(
    offered: Sequence[str], acceptable: Sequence[str], *, prefer_client_order: bool
) -> str:
    """Return the suite to use. Raises `ProtocolError` (handshake_failure)."""
    chosen = first_shared(offered, acceptable, prefer_offered=prefer_client_order)
    if chosen is None:
        raise disagreement(Fault.NO_SHARED_CIPHER_SUITE, offered, acceptable)
    return chosen


def choose_group(
    offered: Sequence[str],
    shared_at_once: Sequence[str],
    acceptable: Sequence[str],
    *,
    prefer_client_order: bool,
) -> str:
    """Return the group to use; not in `shared_at_once` means a HelloRetryRequest.

    Raises `ProtocolError` (handshake_failure).
    """
    chosen = first_shared(
        shared_at_once, acceptable, prefer_offered=prefer_client_order
    ) or first_shared(offered, acceptable, prefer_offered=prefer_client_order)
    if chosen is None:
        raise disagreement(Fault.NO_SHARED_GROUP, offered, acceptable)
    return chosen


def choose_application_protocol(offered: Sequence[bytes], spoken: Sequence[str]) -> str | None:
    """Return the protocol to use, or None if one side has no ALPN (RFC 7301 section 3.2)."""
    if not offered or not spoken:
        return None
    for protocol in spoken:
        if protocol.encode("ascii") in offered:
            return protocol
    names = [shown(protocol) for protocol in offered]
    raise disagreement(Fault.NO_SHARED_APPLICATION_PROTOCOL, names, spoken)


def read_selected_protocol(data: bytes, offered: Sequence[str]) -> str:
    """Return the protocol that the server chose, from its extension (RFC 7301 section 3.1)."""
    protocols = read_alpn(data)
    if len(protocols) != 1:
        raise ProtocolError(Fault.DECODE_ERROR, "the server names more than one protocol")
    name = shown(protocols[0])
    if name not in offered:
        raise ProtocolError(Fault.UNOFFERED_APPLICATION_PROTOCOL, name)
    return name


def choose_signature_scheme(
    credentials: Credentials,
    offered: Collection[str],
    acceptable: Sequence[str],
    version: str = "TLSv1.3",
) -> str | None:
    """Return the credentials' first scheme that this peer accepts."""
    for scheme in credentials.schemes:
        if (
            scheme in offered
            and scheme in acceptable
            and version in SIGNATURE_SCHEMES[scheme].versions
        ):
            return scheme
    return None


def choose_scheme_to_show(
    credentials: Credentials | None,
    question: ChooseCredentials,
    acceptable: Sequence[str],
    version: str,
) -> str | None:
    """Return the scheme in which a client signs that it holds these credentials.

    None where it shows nothing: it has none, or the server can do nothing with them.
    """
    if credentials is None or credentials.certificate_type not in question.certificate_types:
        return None
    return choose_signature_scheme(credentials, question.signature_schemes, acceptable, version)


def choose_server_credentials(
    question: ChooseCredentials,
    candidates: Sequence[Credentials],
    acceptable_schemes: Sequence[str],
    *,
    strict_server_name: bool,
    types_first: bool = False,
) -> Credentials:
    """Return the certificate to show to this client. Raises `ProtocolError`.

    Args:
        types_first: whether the order of the question's types comes before that of `candidates`.
    """
    able = _able(question, candidates, acceptable_schemes)
    name = question.server_name
    if name is not None and strict_server_name:
        able = [candidate for candidate in able if candidate.matches(name)]
        if not able and not any(candidate.matches(name) for candidate in candidates):
            raise ProtocolError(Fault.UNRECOGNIZED_NAME, name)
    if not able:
        raise _nothing_to_show(question, candidates)
    if types_first:
        best = min([each.certificate_type for each in able], key=question.certificate_types.index)
        able = [candidate for candidate in able if candidate.certificate_type == best]
    if len(able) > 1:
        for candidate in able:
            if candidate.matches(name):
                return candidate
    return able[0]


def _able(
    question: ChooseCredentials,
    candidates: Sequence[Credentials],
    acceptable_schemes: Sequence[str],
) -> list[Credentials]:
    """Return the credentials that the peer can use, those of authorities that it knows first."""
    shared = frozenset(question.signature_schemes).intersection(acceptable_schemes)
    able: list[Credentials] = []
    for candidate in candidates:
        signs = not shared.isdisjoint(candidate.schemes)
        if candidate.certificate_type in question.certificate_types and (
            signs or (question.key_transport and candidate.can_decrypt)
        ):
            able.append(candidate)
    known = frozenset(question.authorities)
    if known:
        able.sort(key=lambda candidate: known.isdisjoint(candidate.issuers_der))
    return able


def _nothing_to_show(
    question: ChooseCredentials, candidates: Sequence[Credentials]
) -> ProtocolError:
    types = sorted({candidate.certificate_type for candidate in candidates})
    if candidates and not set(types) & set(question.certificate_types):
        return no_server_type(question.certificate_types, types)
    held = sorted({scheme for candidate in candidates for scheme in candidate.schemes})
    return disagreement(
        Fault.NO_SHARED_SIGNATURE_SCHEME,
        question.signature_schemes,
        held,
        keys=[candidate.key_kind for candidate in candidates],
    )


def choose_client_credentials(
    question: ChooseCredentials,
    candidates: Sequence[Credentials],
    acceptable_schemes: Sequence[str],
) -> Credentials | None:
    """Return the certificate to show to this server, or None to go without."""
    return next(iter(_able(question, candidates, acceptable_schemes)), None)


def shown(protocol: bytes) -> str:
    """Return a peer's protocol name as printable ASCII: it may end up in a log or a terminal."""
    text = protocol.decode("ascii", "backslashreplace")
    return text if text.isprintable() else ascii(text)[1:-1]
