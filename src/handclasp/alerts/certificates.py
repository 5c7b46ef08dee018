"""Alerts about the certificate of this side, or about one that it did not send."""

from __future__ import annotations

from collections.abc import Iterator

from handclasp.advice import CREDENTIALS, OWN_RAW_PUBLIC_KEY, RAW_PUBLIC_KEYS, STAPLE, TRUST
from handclasp.alerts.cause import SETTINGS_DIFFER, Cause, make_cause
from handclasp.alerts.own_chain import (
    BESIDES,
    evident_causes,
    is_not_yet_valid,
    is_out_of_dates,
    may_be_too_new,
    other_key_required,
    out_of_dates,
    wrong_purpose,
)
from handclasp.alerts.situation import OwnChain, Situation, other_end
from handclasp.faults import Blame, Fault, Verdict

UNTRUSTED = Verdict(
    Blame.UNCLEAR,
    "the other end, if it is meant to trust the authority of that certificate; else this end",
)


def without_certificate(situation: Situation) -> Cause:
    """Return the cause of an alert about a certificate if this side has sent none."""
    if situation.role == "client" and situation.certificate == "withheld":
        return certificate_withheld(Fault.CLIENT_CERTIFICATE_MISSING)
    other = other_end(situation)
    asked = " and was not asked for one" if situation.role == "client" else ""
    return make_cause(
        Fault.INTERNAL_ERROR,
        f"The alert is about a certificate, but this side has sent none{asked}: the {other} must "
        "have another reason, and the alert does not say which.",
        "",
        f"See the {other}'s log.",
        Verdict(Blame.PEER, "which gave a reason that cannot be true"),
    )


def client_certificate_causes(situation: Situation, missing: Fault) -> Iterator[Cause]:
    """Yield the cause if the client's own certificate is missing, or was sent and refused."""
    if situation.certificate == "withheld":
        yield certificate_withheld(missing)
    elif situation.certificate == "shown":
        evident = list(evident_causes(situation, "The server refuses the client certificate"))
        yield from evident
        yield make_cause(
            Fault.CERTIFICATE_UNTRUSTED,
            "Or the server does not trust the authority of that certificate."
            if evident
            else "The server refuses the client certificate that this side has sent"
            f"{_named(situation)}.",
            f"Use a certificate from an authority that the server trusts ({CREDENTIALS}).",
            "Trust the authority of the client's certificate.",
            UNTRUSTED,
        )
    else:
        when = {
            "hello": "at once",
            "handshake": "in the middle of the handshake",
            "established": "after the handshake",
        }[situation.stage]
        yield make_cause(
            Fault.NO_SHARED_CIPHER_SUITE
            if situation.stage != "established"
            else Fault.INTERNAL_ERROR,
            f"The server ended the connection {when}, and does not say why.",
            "",
            "See the server's log.",
            Verdict(Blame.PEER, "which gave no reason"),
        )


def certificate_withheld(missing: Fault) -> Cause:
    return make_cause(
        missing,
        "The server requires a client certificate, and this side has sent none.",
        "Give this side a certificate and key from an authority that the server names in its "
        f"request ({CREDENTIALS}).",
        "Make client certificates optional if that is meant.",
        Verdict(Blame.LOCAL, "unless the server is meant to accept clients without a certificate"),
    )


def certificate_required_causes(situation: Situation) -> Iterator[Cause]:
    if situation.certificate == "shown":
        yield from client_certificate_causes(situation, Fault.CLIENT_CERTIFICATE_MISSING)
    else:
        yield certificate_withheld(Fault.CLIENT_CERTIFICATE_MISSING)


def unknown_ca_causes(situation: Situation) -> Iterator[Cause]:
    client = situation.role == "client"
    other, whose = ("server", "client") if client else ("client", "server")
    chain = situation.chain
    if chain.is_self_signed:
        yield make_cause(
            Fault.CERTIFICATE_UNTRUSTED,
            f"The {other} says that it does not trust the certificate that was sent, "
            f"{chain.leaf}, which is self-signed.",
            "Use a certificate from an authority that the other end trusts instead.",
            f"Trust this certificate itself, if it is the {whose}'s.",
            Verdict(Blame.LOCAL, "unless the other end is meant to trust this very certificate"),
        )
        return
    subject = f", {chain.leaf}," if chain.leaf else ""
    if chain.root_file:
        yield make_cause(
            Fault.CERTIFICATE_UNTRUSTED,
            f"The {other} says that it finds no path from the certificate that was sent{subject} "
            f"to an authority that it trusts: it does not trust {chain.issuer}, the root that "
            "issued it.",
            f"Or use a certificate from an authority that the {other} trusts ({CREDENTIALS}).",
            _trust_root(chain),
            Verdict(Blame.PEER, "unless it is not meant to trust that root"),
        )
        yield _no_list_or_too_deep(situation)
        return
    if chain.size > 1:
        yield make_cause(
            Fault.CERTIFICATE_UNTRUSTED,
            f"The {other} says that it finds no path from the certificate that was sent{subject} "
            f"to an authority that it trusts: the chain that was sent ends with {chain.last}, "
            f"issued by {chain.issuer}, which the {other} does not know, or a certificate in "
            "between is missing.",
            f"Use a certificate from an authority that the {other} trusts.",
            f"Trust the authority {chain.issuer}, if it is meant to vouch for the {whose}.",
            Verdict(
                Blame.UNCLEAR,
                f"the other end, if {chain.issuer} is a root that it is meant to trust; else this "
                "end",
            ),
        )
        yield _no_list_or_too_deep(situation)
        return
    issued = f" It was issued by {chain.issuer}." if chain.issuer else ""
    yield make_cause(
        Fault.CERTIFICATE_UNTRUSTED,
        f"The {other} says that it finds no path from the certificate that was sent{subject} to "
        "an authority that it trusts: the intermediate certificates were not sent, or it does not "
        f"know the authority.{issued}",
        f"If {chain.issuer or 'its issuer'} is an intermediate authority, send its certificate "
        "too: the full chain.",
        f"If {chain.issuer or 'its issuer'} is a root, trust the authority.",
        Verdict(
            Blame.UNCLEAR,
            f"the other end, if {chain.issuer or 'the issuer'} is a root that it is meant to "
            "trust; else this end",
        ),
    )
    yield _no_list_or_too_deep(situation)


def wrong_signature_in_chain(situation: Situation) -> Iterator[Cause]:
    """Yield the cause if an end finds a wrong signature within a chain, as OpenSSL does.

    It takes the certificate of an authority by its name. Before a program sends a chain, it
    usually checks that its private key fits, so that the signature over the handshake is right.
    """
    chain, other = situation.chain, other_end(situation)
    if not chain.size or chain.is_self_signed:
        return
    yield make_cause(
        Fault.CERTIFICATE_UNTRUSTED,
        f"The {other} could not verify a signature: perhaps one in the chain that was sent, which "
        f"it cannot if it knows another authority by the name of {chain.issuer}, such as one that "
        "was created again with a new key.",
        f"Use a certificate of the authority that the {other} trusts ({CREDENTIALS}).",
        f"Trust the very authority {chain.issuer} that issued the chain.",
        Verdict(Blame.UNCLEAR, "the end that has the outdated certificate, if there are two"),
    )


def _trust_root(chain: OwnChain) -> str:
    """Return the advice to an end that does not trust a root of which the file is known."""
    return f"Trust the root {chain.issuer}: its certificate is in {chain.root_file}."


def _no_list_or_too_deep(situation: Situation) -> Cause:
    """Return the cause if an end says unknown_ca although there is a path, as OpenSSL does."""
    other = other_end(situation)
    return make_cause(
        Fault.REVOCATION_UNKNOWN,
        f"Or the {other} has such a path and cannot use it: it requires a revocation list (CRL) "
        "that it does not have, or it allows fewer certificates on the path.",
        "",
        f"See in the {other}'s log what it lacks: a CRL of each authority on the path, or a "
        "greater depth.",
        Verdict(Blame.PEER, "whose settings leave out what it requires"),
    )


def bad_certificate_causes(situation: Situation) -> Iterator[Cause]:
    if situation.role == "client":
        yield from client_certificate_causes(situation, Fault.CLIENT_CERTIFICATE_MISSING)
        if situation.certificate == "shown":
            yield from _unless_evident(situation)
        return
    yield from _refused_with_evidence(situation)
    if situation.is_for_name is not False:
        yield from _refused_by_client(situation)
    yield from _unless_evident(situation)
    if situation.is_for_name is not True:
        yield _distrusted(situation, "Or the client does not trust its authority")
    yield make_cause(Fault.BAD_CERTIFICATE, "Or the client considers the certificate malformed.")


_REFUSED = "The client refuses the certificate"


def _refused_with_evidence(situation: Situation) -> Iterator[Cause]:
    """Yield what the certificate shows to be wrong, the likeliest first.

    OpenSSL, Java and browsers send the same alerts for a wrong name, and other ones for what else
    is evident, save for a certificate that is not yet valid.
    """
    if situation.is_for_name is not False:
        yield from evident_causes(situation, _REFUSED)
    elif is_not_yet_valid(situation):
        yield from evident_causes(situation, _REFUSED)
        yield from _refused_by_client(situation)
    else:
        yield from _refused_by_client(situation)
        yield from evident_causes(situation, BESIDES)


def _unless_evident(situation: Situation) -> Iterator[Cause]:
    """Yield what else a bad certificate may be, as far as its content does not disprove it."""
    if may_be_too_new(situation) and not is_out_of_dates(situation):
        yield _not_yet_valid(situation)
    if situation.chain.key:
        yield other_key_required(situation)


def _refused_by_client(situation: Situation) -> Iterator[Cause]:
    """Yield the cause if a client refuses the server's certificate: most often its name."""
    chain, names = situation.chain, situation.chain.names or "no name"
    if situation.is_for_name is False:
        yield make_cause(
            Fault.CERTIFICATE_NAME_MISMATCH,
            "The client refuses the certificate, most likely because of its name: it asked for "
            f"{situation.server_name}; the certificate is for {names}.",
            f"Use a certificate that covers {situation.server_name}, if clients are meant to reach "
            "this server by that name.",
            "Connect by a name that is in the certificate.",
            Verdict(Blame.LOCAL, "unless the client is meant to ask for another name"),
        )
    elif situation.is_for_name:
        yield _distrusted(
            situation,
            "The client refuses the certificate, and this alert does not say why. It asked for "
            f"{situation.server_name}, and the certificate is for {names}: so perhaps it does not "
            "trust the authority, or expects another name than it asked for",
        )
    else:
        is_for = f", and it is for {chain.names}" if chain.names else ""
        yield make_cause(
            Fault.CERTIFICATE_NAME_MISMATCH,
            "The client refuses the certificate, and this alert does not say why: perhaps the "
            "certificate is for another name than the one that the client went to. The client "
            f"asked for no name (SNI){is_for}."
            if situation.server_name is None
            else "The client refuses the certificate, and this alert does not say why: perhaps "
            f"the certificate is for another name than the client asked for, which is "
            f"{situation.server_name}.",
            "Use a certificate that covers the name by which clients reach this server.",
            "Connect by a name that is in the certificate.",
            Verdict(
                Blame.UNCLEAR,
                "either end, depending on what the client did not accept; see its log",
            ),
        )


def _distrusted(situation: Situation, sentence: str) -> Cause:
    chain = situation.chain
    issued = f" (it was issued by {chain.issuer})" if chain.issuer and chain.size < 2 else ""
    may_lack_intermediate = chain.size < 2 and not chain.is_self_signed and not chain.root_file
    return make_cause(
        Fault.CERTIFICATE_UNTRUSTED,
        f"{sentence}{issued}.",
        "Send the certificate with all its intermediates, if one is missing."
        if may_lack_intermediate
        else "",
        _trust_root(chain)
        if chain.root_file
        else "Trust the authority that issued the server's certificate.",
        UNTRUSTED,
    )


def _not_yet_valid(situation: Situation) -> Cause:
    other, chain = other_end(situation), situation.chain
    dates = f", which is {chain.dates}" if chain.dates else ""
    return make_cause(
        Fault.CERTIFICATE_NOT_YET_VALID,
        f"Or by the {other}'s clock the certificate{dates}, is not yet valid."
        if dates
        else f"Or by the {other}'s clock the certificate is not yet valid.",
        "",
        f"Check the clock of the {other}.",
        Verdict(Blame.UNCLEAR, "the end whose clock is wrong"),
    )


def unsupported_certificate_causes(situation: Situation) -> Iterator[Cause]:
    if situation.role == "client" and situation.certificate == "unasked":
        yield from _unshared_types(situation)
        return
    if situation.certificate == "withheld":
        yield certificate_withheld(Fault.CLIENT_CERTIFICATE_MISSING)
        return
    if situation.role == "server" and situation.server_certificate_types == ("RawPublicKey",):
        yield make_cause(
            Fault.NO_SHARED_CERTIFICATE_TYPE,
            "The client accepts only a raw public key (server_certificate_type), and this side has "
            "sent a certificate, or a key that the client does not know.",
            f"Give this side a raw public key as well ({OWN_RAW_PUBLIC_KEY}).",
            "Trust the server's certificate instead of a raw public key.",
            Verdict(Blame.PEER, "unless the server is meant to have a raw public key"),
        )
        return
    other = other_end(situation)
    purpose = wrong_purpose(situation, f"The {other} does not accept a certificate of this kind")
    yield purpose or _purpose_in_doubt(situation)
    yield other_key_required(situation)
    # Dates are no matter of the kind, but the next refusal would be for them.
    dates = out_of_dates(situation, BESIDES)
    if dates is not None:
        yield dates


def _purpose_in_doubt(situation: Situation) -> Cause:
    other = other_end(situation)
    use = "a client" if situation.role == "client" else "a server"
    # Without the extension, every use is allowed (RFC 5280 section 4.2.1.12).
    purposes, is_known = situation.chain.purposes, situation.chain.size > 0
    allowed = None
    if is_known:
        allowed = "it has none, so that every use is allowed"
        if purposes is not None:
            allowed = f"it has {', '.join(purposes)}"
    return make_cause(
        Fault.CERTIFICATE_WRONG_PURPOSE,
        f"The {other} does not accept a certificate of this kind: most often, its extended key "
        f"usage does not allow {use}."
        if allowed is None
        else f"The {other} does not accept a certificate of this kind. Its extended key usage "
        f"allows {use}: {allowed}. So perhaps the {other} checks it for another use, or requires "
        "another key usage.",
        f"Use a certificate whose extended key usage and key usage are those of {use}."
        if allowed is None
        else "",
        f"See which certificates the {other} accepts.",
        Verdict(Blame.LOCAL, "unless the other end requires too much")
        if allowed is None
        else Verdict(Blame.UNCLEAR, "the other end, if it checks for another use; else this end"),
    )


def _unshared_types(situation: Situation) -> Iterator[Cause]:
    """Yield the causes if the server refuses the certificate types of the hello (RFC 7250 4.2)."""
    fault = Fault.NO_SHARED_CERTIFICATE_TYPE
    has_own_types = situation.client_certificate_types not in ((), ("X509",))
    takes_key = "RawPublicKey" in situation.server_certificate_types
    takes_key_alone = situation.server_certificate_types == ("RawPublicKey",)
    if takes_key_alone:
        yield make_cause(
            fault,
            "The server has no raw public key, and this side's hello accepts nothing else.",
            f"Trust the server's certificate instead ({TRUST}).",
            "Give the server a raw public key, if clients are meant to know it by that.",
            Verdict(Blame.LOCAL, "unless the server is meant to have a raw public key"),
        )
    if has_own_types:
        offered = " or ".join(
            {"X509": "a certificate", "RawPublicKey": "a raw public key"}.get(name, name)
            for name in situation.client_certificate_types
        )
        yield make_cause(
            fault,
            f"This side's hello offers to authenticate with {offered}, and the server requires "
            "something else.",
            "Give this side a certificate from an authority that the server trusts "
            f"({CREDENTIALS})."
            if "X509" not in situation.client_certificate_types
            else f"Give this side a raw public key that the server knows ({OWN_RAW_PUBLIC_KEY}).",
            f"Let the server accept {offered} from its clients.",
            SETTINGS_DIFFER,
        )
    if takes_key and (takes_key_alone or has_own_types):
        return
    yield make_cause(
        fault,
        "The server has nothing that this side's hello accepts, neither a certificate nor a raw "
        "public key."
        if takes_key
        else "The server has no certificate of a type that this side's hello accepts: perhaps it "
        "has only a raw public key, and the hello does not accept one.",
        ""
        if takes_key
        else f"Expect the server's raw public key, if it has one ({RAW_PUBLIC_KEYS}).",
        "Give the server a certificate.",
        SETTINGS_DIFFER,
    )


def certificate_revoked_causes(situation: Situation) -> Iterator[Cause]:
    yield make_cause(
        Fault.CERTIFICATE_REVOKED,
        f"The {other_end(situation)} found that the certificate that this side has sent was "
        "revoked.",
    )


def certificate_unknown_causes(situation: Situation) -> Iterator[Cause]:
    if situation.role == "client":
        yield from client_certificate_causes(situation, Fault.CLIENT_CERTIFICATE_MISSING)
        return
    evident = list(_refused_with_evidence(situation))
    yield from evident
    chain, asked = situation.chain, ""
    if situation.server_name is not None:
        asked = f" It asked for {situation.server_name}."
    names = (
        f" The certificate is for {chain.names}, issued by {chain.issuer}." if chain.names else ""
    )
    doubt = "" if situation.is_for_name is not None else ", or expects another name"
    opening = (
        "Or the client does not trust its authority."
        if evident
        else "The client refuses the certificate without saying why, as browsers do: most often it "
        f"does not trust its authority{doubt}.{asked}{names}"
    )
    yield make_cause(
        Fault.CERTIFICATE_UNTRUSTED,
        opening,
        "Use a certificate that covers the name, from an authority that the client trusts"
        + ("." if chain.size > 1 or chain.root_file else ", with all its intermediates."),
        f"{_trust_root(chain)} Check the requested name, too."
        if chain.root_file
        else "Trust the authority that issued the server's certificate; check the requested name.",
        UNTRUSTED,
    )


def access_denied_causes(situation: Situation) -> Iterator[Cause]:
    other, fix_local = other_end(situation), ""
    if situation.certificate == "shown":
        yield from evident_causes(situation, f"The {other} grants this side no access")
        sentence = (
            f"The {other} says that it grants this side no access, or perhaps it refuses the "
            "certificate itself, as GnuTLS does by this alert."
        )
    elif situation.external_key:
        sentence = f"The {other} grants no access to the holder of this pre-shared key."
    else:
        sentence = (
            f"The {other} grants this side no access: it has sent no certificate to identify "
            "itself."
        )
        if situation.certificate == "withheld":
            fix_local = f"Give this side a certificate that the {other} accepts ({CREDENTIALS})."
    yield make_cause(
        Fault.CERTIFICATE_REFUSED,
        sentence,
        fix_local,
        f"Grant this {situation.role} access, if that is intended.",
        Verdict(Blame.PEER, "unless the refusal is intended"),
    )


def certificate_expired_causes(situation: Situation) -> Iterator[Cause]:
    other, chain = other_end(situation), situation.chain
    dates = f" It is {chain.dates}." if chain.dates else ""
    is_over = is_out_of_dates(situation)
    if is_over:
        opening = f"The {other} says that a certificate has expired"
        yield from evident_causes(situation, opening, is_of_dates=True)
    elif is_over is False:
        yield _expired_elsewhere(situation)
    else:
        yield make_cause(
            Fault.CERTIFICATE_EXPIRED,
            f"By the clock of the {other}, the certificate that this side has sent, or another on "
            f"its path, is not valid now: it has expired, or that clock is wrong.{dates}",
            "Renew the certificate, if it has expired.",
            f"Check the clock of the {other}.",
            Verdict(Blame.LOCAL, "unless the clock of the other end is wrong"),
        )


def _expired_elsewhere(situation: Situation) -> Cause:
    """Return the cause if all that this side has sent is valid by its dates."""
    other, chain = other_end(situation), situation.chain
    sent = f"the one that was sent, which is {chain.dates}"
    if chain.size > 1:
        sent = "one of those that were sent, which are all valid by their dates"
    return make_cause(
        Fault.CERTIFICATE_EXPIRED,
        f"The {other} says that a certificate has expired. It cannot be {sent}. So it is one of "
        f"these: a certificate that the {other} has itself, such as that of the authority; a "
        f"revocation list (CRL) that it has; or the {other}'s clock is wrong.",
        "",
        f"Renew the trusted certificates and the CRLs of the {other}, and check its clock.",
        Verdict(Blame.PEER, "unless the clock that dates this is wrong"),
    )


def bad_staple_causes(situation: Situation) -> Iterator[Cause]:
    other = other_end(situation)
    if situation.is_stapled is False:
        yield make_cause(
            Fault.BAD_OCSP_RESPONSE,
            f"The {other} requires an OCSP response, and this side has stapled none to its "
            "certificate.",
            f"Staple a current response that is about this certificate and says good ({STAPLE}).",
            "Do not require a stapled response, if this side is not meant to have one.",
            Verdict(Blame.LOCAL, "unless the other end requires too much"),
        )
        return
    what = (
        "refused the OCSP response that was stapled to this side's certificate"
        if situation.is_stapled
        else "refused the OCSP response that was stapled to this side's certificate, or misses one"
    )
    yield make_cause(
        Fault.BAD_OCSP_RESPONSE,
        f"The {other} {what}.",
        f"Staple a current response that is about this certificate and says good ({STAPLE}).",
        f"Check the clock of the {other}.",
        Verdict(Blame.LOCAL, "unless the clock of the other end is wrong"),
    )


def _named(situation: Situation) -> str:
    chain = situation.chain
    return f", {chain.leaf}, issued by {chain.issuer}" if chain.leaf else ""
