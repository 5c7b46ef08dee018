"""The names of settings in advice: in terms of the library, or of the command that is run.

The catalogue and all that adds to it name a setting of this library in parentheses, by one of the
constants below. A command puts its own option there. If a setting has no option, the command leaves
out the sentence, as nobody could follow it; and the reader of a recorded handshake gets no setting
at all, since the program is unknown.

>>> from handclasp import advice
>>> fix = Fault.CERTIFICATE_UNTRUSTED.fix
>>> advice.worded(fix, "connect").rpartition(": ")[2]
'If that authority is yours, trust it (--ca FILE).'
>>> advice.without_settings(fix).rpartition(": ")[2]
'If that authority is yours, trust it.'
>>> advice.named_blame("peer", "client"), advice.at_fault("peer", "", "client")
('server', 'the server')
>>> advice.with_condition("unclear", "the server, or something on the way")
'unclear: the server, or something on the way'
>>> advice.with_ends_named("The peer is this end.", "client")
'The peer is the client.'
>>> advice.for_reader("This end refused it.", "client")
'The client refused it.'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

FrontEnd = Literal["connect", "serve", "check", "reader", "ssl"]
"""The commands `connect`, `serve` and `cert check`, readers of recorded handshakes, and programs
that use a context of `handclasp.compat` as they use one of `ssl`."""

TRUST = "trust=TrustStore.from_pem(FILE)"
CREDENTIALS = "credentials=Credentials.load(CHAIN, KEY)"
PRIVATE_PROFILE = 'policy=CertificatePolicy(profile="private")'
PINS = "policy=CertificatePolicy(pins=[...])"
CRLS = "policy=CertificatePolicy(crls=RevocationLists.from_files(FILE))"
NO_CRL_NEEDED = 'RevocationLists.from_files(FILE, without_list="accept")'
TLSA = "policy=CertificatePolicy(tlsa=[...])"
CT_LOGS = "policy=CertificatePolicy(ct_logs=...)"
IGNORED_OCSP = 'policy=CertificatePolicy(stapled_ocsp="ignore")'
CHECKED_OCSP = 'policy=CertificatePolicy(stapled_ocsp="check")'
RAW_PUBLIC_KEYS = "raw_public_keys=[...]"
OWN_RAW_PUBLIC_KEY = "credentials=Credentials.raw_public_key(KEY)"
STAPLE = "credentials.with_staple(FILE)"
OPTIONAL_CLIENTS = "client_auth=ClientAuth.OPTIONAL"
LATE_CLIENT_CERTIFICATE = "post_handshake_auth=True"
VERSIONS = "versions=[...]"
CIPHER_SUITES = "cipher_suites=[...]"
GROUPS = "groups=[...]"
NO_GROUPS = "leave out groups="
X25519_ALONE = 'groups=["X25519"]'
SIGNATURE_SCHEMES = "signature_schemes=[...]"
RSA_KEY_TRANSPORT = "allow_rsa_key_transport=True"
ALPN = "alpn=[...]"
SERVER_NAME = "server_name=NAME"
PSKS = "psks=[...]"
ECH = "ech=EchConfigList.load(FILE)"
LIMITS = "limits=Limits(...)"
TIMEOUT = "handshake_timeout=SECONDS"
ALLOW_TRUNCATION = "allow_truncation=True"
WITHOUT_EMS = "require_extended_master_secret=False"
ACCEPTING = "confirm_peer, verify"
NO_KEY_LOG = "leave out keylog="
CAUSE = "__cause__"
"""The exception behind an error, which only a program can look at."""
GO_AHEAD = "go_ahead=BYTES"
RECEIVED = "received=BYTES"
PROXY = "proxy_protocol=False"
PROXY_FROM = "proxy_protocol=NETWORKS"
STARTTLS = {
    name: f'starttls.opening("{name.lower()}", HOST)'
    for name in ("SMTP", "IMAP", "POP3", "FTP", "XMPP", "MySQL")
}
"""By the name of a protocol that begins in the clear."""

_CLASSES_WITH_STARTTLS = {
    "SMTP": "smtplib.SMTP.starttls",
    "IMAP": "imaplib.IMAP4.starttls",
    "POP3": "poplib.POP3.stls",
    "FTP": "ftplib.FTP_TLS",
}
"""The standard library's own ways to begin TLS; it has none for the other protocols."""


def _in_ssl(name: str) -> Mapping[FrontEnd, str]:
    found = _CLASSES_WITH_STARTTLS.get(name)
    return {"ssl": found} if found is not None else {}


_OPTIONS: Mapping[str, Mapping[FrontEnd, str]] = {
    TRUST: {
        "connect": "--ca FILE",
        "serve": "--client-ca FILE",
        "check": "--ca FILE",
        "ssl": "context.load_verify_locations(FILE)",
    },
    CREDENTIALS: {
        "connect": "--cert FILE --key FILE",
        "serve": "--cert FILE --key FILE",
        "ssl": "context.load_cert_chain(CHAIN, KEY)",
    },
    PRIVATE_PROFILE: {
        "connect": "--profile private",
        "check": "--profile private",
        "ssl": "context.verify_flags &= ~ssl.VERIFY_X509_STRICT",
    },
    PINS: {"connect": "--pin PIN", "check": "--pin PIN"},
    CRLS: {
        "connect": "--crl FILE",
        "check": "--crl FILE",
        "ssl": "context.load_verify_locations(FILE)",
    },
    NO_CRL_NEEDED: {
        "connect": "leave out --crl",
        "check": "leave out --crl",
        "ssl": "context.verify_flags &= ~ssl.VERIFY_CRL_CHECK_CHAIN",
    },
    TLSA: {"connect": "--tlsa RECORD", "check": "--tlsa RECORD"},
    CT_LOGS: {},
    IGNORED_OCSP: {},
    CHECKED_OCSP: {"connect": "leave out --require-ocsp", "check": "leave out --require-ocsp"},
    RAW_PUBLIC_KEYS: {"connect": "--raw-public-key FILE"},
    OWN_RAW_PUBLIC_KEY: {},
    STAPLE: {"serve": "--ocsp FILE"},
    OPTIONAL_CLIENTS: {
        "serve": "leave out --require-client-cert",
        "ssl": "context.verify_mode = ssl.CERT_OPTIONAL",
    },
    LATE_CLIENT_CERTIFICATE: {"ssl": "context.post_handshake_auth = True"},
    VERSIONS: {
        "connect": "--tls12 --tls13",
        "serve": "--tls12 --tls13",
        "ssl": "context.minimum_version, maximum_version",
    },
    CIPHER_SUITES: {"connect": "--suite SUITE", "ssl": "context.set_ciphers"},
    GROUPS: {"connect": "--group GROUP", "ssl": "context.set_ecdh_curve"},
    NO_GROUPS: {"connect": "leave out --group"},
    X25519_ALONE: {"connect": "--group X25519", "ssl": 'context.set_ecdh_curve("X25519")'},
    SIGNATURE_SCHEMES: {},
    RSA_KEY_TRANSPORT: {
        "connect": "--allow-rsa-key-transport",
        "serve": "--allow-rsa-key-transport",
    },
    ALPN: {
        "connect": "--alpn A,B",
        "serve": "--alpn A,B",
        "ssl": "context.set_alpn_protocols([...])",
    },
    SERVER_NAME: {
        "connect": "--server-name NAME",
        "check": "--name NAME",
        "ssl": "server_hostname=NAME",
    },
    ECH: {"connect": "--ech FILE"},
    PSKS: {"ssl": "context.set_psk_client_callback, set_psk_server_callback"},
    LIMITS: {},
    TIMEOUT: {"connect": "--timeout SECONDS", "ssl": "sock.settimeout(SECONDS)"},
    ALLOW_TRUNCATION: {"ssl": "suppress_ragged_eofs=True"},
    WITHOUT_EMS: {},
    ACCEPTING: {},
    NO_KEY_LOG: {
        "connect": "leave out --keylog",
        "serve": "leave out --keylog",
        "ssl": "context.keylog_filename = None",
    },
    CAUSE: {"ssl": CAUSE},
    GO_AHEAD: {},
    RECEIVED: {},
    PROXY_FROM: {"serve": "--proxy-protocol-from NETWORKS"},
    PROXY: {"serve": "leave out --proxy-protocol and --proxy-protocol-from"},
    **{
        setting: {"connect": f"--starttls {name.lower()}", **_in_ssl(name)}
        for name, setting in STARTTLS.items()
    },
}

SETTINGS = tuple(_OPTIONS)
"""The settings that advice may name in parentheses."""

_WHO: Mapping[str, Mapping[str, str]] = {
    "client": {"local": "the client", "peer": "the server"},
    "server": {"local": "the server", "peer": "the client"},
}
_NOBODY = {"network": "the network", "unclear": "unclear"}


def named_blame(blame: str, role: str) -> str:
    """Return the end to blame in a word, for programs: "client", "server", "network" or
    "unclear".
    """
    other = "server" if role == "client" else "client"
    return {"local": role, "peer": other}.get(blame, blame)


def at_fault(blame: str, condition: str, role: str) -> str:
    """Return the end to blame in words: the server, the client, the network, or unclear.

    Args:
        blame, condition: as in `TLSError`.
        role: of the end that tells it.
    """
    who = _WHO[role].get(blame) or _NOBODY.get(blame, "unclear")
    return with_condition(who, with_ends_named(condition, role))


def with_condition(who: str, condition: str) -> str:
    """Return who is to blame, and the condition; after "unclear", a colon goes before it."""
    if not condition:
        return who
    return f"{who}{': ' if who == 'unclear' else ', '}{condition}"


def with_ends_named(text: str, role: str) -> str:
    """Return the text with "the client" and "the server" for "this end" and "the other end"."""
    other = "server" if role == "client" else "client"
    for end, who in (("this end", role), ("the other end", other)):
        text = text.replace(end, f"the {who}")
    return text


_END = re.compile(r"(?=On (?:this|the other) end: )")
_SENTENCE = re.compile(r"(?<=[.:]) (?=[A-Z])")


def worded(text: str, front_end: FrontEnd, named: Mapping[str, str] | None = None) -> str:
    """Return advice in the terms of one front end; empty if no sentence applies to it.

    Args:
        text: the advice, with the settings as this module has them.
        front_end: whose terms are wanted.
        named: by a setting of this module, what this one front end calls it at present.
    """
    parts = [_part(part, front_end, named or {}) for part in _END.split(text)]
    return " ".join(filter(None, parts))


def without_settings(text: str) -> str:
    """Return advice for the other end, whose program is unknown: without any setting."""
    return worded(text, "reader")


def for_reader(text: str, role: str) -> str:
    """Return a text recorded by one end, `role`, in terms for a third reader.

    "this end" is the client (or the server) then, "this machine" is that one's, and "the peer" is
    the other end.
    """
    other = "server" if role == "client" else "client"
    for mine, named in (
        ("On this end:", f"On the {role}:"),
        ("On the other end:", f"On the {other}:"),
        ("this machine", f"the {role}'s machine"),
        ("this side's", f"the {role}'s"),
        ("this side", f"the {role}"),
        ("This side", f"The {role}"),
        ("this end's", f"the {role}'s"),
        ("this end", f"the {role}"),
        ("This end", f"The {role}"),
        ("the other end's", f"the {other}'s"),
        ("the other end", f"the {other}"),
        ("The other end", f"The {other}"),
    ):
        text = text.replace(mine, named)
    return _PEER.sub(lambda found: f"{found['the']} {other}", text)


_PEER = re.compile(r"\b(?P<the>[Tt]he) peer\b")


def _part(part: str, front_end: FrontEnd, named: Mapping[str, str]) -> str:
    end = part[: part.index(": ") + 2] if part.startswith("On ") and ": " in part else ""
    wanted: FrontEnd = "reader" if end.startswith("On the other") else front_end
    sentences = _SENTENCE.split(part[len(end) :].strip())
    kept: list[str] = []
    follows = True
    for each in reversed(sentences):
        told = _sentence(each, wanted, named)
        # What ends with a colon says nothing without that which would follow.
        follows = bool(told) and (follows or not told.endswith(":"))
        if follows:
            kept.append(told)
    return end + " ".join(reversed(kept)) if kept else ""


def _sentence(sentence: str, front_end: FrontEnd, named: Mapping[str, str]) -> str:
    for setting, options in _OPTIONS.items():
        stands = f" ({setting})"
        if stands not in sentence:
            continue
        if front_end == "reader" and setting != CAUSE:
            sentence = sentence.replace(stands, "")
        elif front_end in options:
            sentence = sentence.replace(stands, f" ({named.get(setting, options[front_end])})")
        else:
            return ""
    return sentence
