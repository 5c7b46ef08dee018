"""For every setting of `ssl` that verifies a peer, ours accepts only a peer that `ssl` accepts.

The matrix: side x mode x check_hostname x flags x what was loaded, each with every kind of peer.
The peer is always a context of `ssl` itself.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.compat.pairs import CONTEXTS, Bios, Files
from tests.pki import DAY, Leaf, Pki, key_of_type, key_pem, pem_of, self_signed

from handclasp import SessionStore
from handclasp.compat.context import refusing

BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
PARTIAL_CHAIN = 0x80000

MODES = (ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED)
FLAGS = {
    "plain": 0,
    "strict": ssl.VERIFY_X509_STRICT,
    "partial": PARTIAL_CHAIN,
    "strict and partial": ssl.VERIFY_X509_STRICT | PARTIAL_CHAIN,
    "crl of the leaf": ssl.VERIFY_CRL_CHECK_LEAF,
    "crl of the chain": ssl.VERIFY_CRL_CHECK_CHAIN,
}
LOADED = ("nothing", "root", "root and intermediate", "intermediate", "leaf", "root and list")


class Setting(NamedTuple):
    server_side: bool
    mode: Any
    check_hostname: bool
    flags: str
    loaded: str


def settings() -> Iterator[Setting]:
    for side, mode, named, flags, loaded in itertools.product(
        (False, True), MODES, (False, True), FLAGS, LOADED
    ):
        # `ssl` itself refuses to check names without verification; a server has none to check.
        if not (named and (side or mode == ssl.CERT_NONE)):
            yield Setting(side, mode, named, flags, loaded)


class Peers:
    """Chains with keys in files, good ones and bad ones, of one authority and of a stranger."""

    def __init__(self, files: Files) -> None:
        self.files, self.pki = files, files.pki
        now = self.pki.now
        self.intermediate = self.pki.intermediate()
        self.chains: dict[str, Any] = {
            "good": files.leaf("good", Leaf(purpose=BOTH)),
            "below an intermediate": files.leaf(
                "below", Leaf(purpose=BOTH), issuer=self.intermediate
            ),
            "without the intermediate": self._alone(),
            "of another name": files.leaf("named", Leaf(("b.example",), purpose=BOTH)),
            "expired": files.leaf(
                "expired", Leaf(purpose=BOTH, not_before=now - 9 * DAY, not_after=now - DAY)
            ),
            "of the other purpose": files.leaf(
                "purpose", Leaf(purpose=ExtendedKeyUsageOID.CODE_SIGNING)
            ),
            "without a purpose": files.leaf("free", Leaf(purpose=None)),
            "without an issuer's key": files.leaf(
                "loose", Leaf(purpose=BOTH, authority_identifier=False)
            ),
            "an authority's": files.leaf("authority", Leaf(purpose=BOTH, is_authority=True)),
            "a stranger's": Files(Pki(), files.directory).leaf("stranger", Leaf(purpose=BOTH)),
            "self-signed": self._self_signed(),
            "a name in the subject": files.leaf(
                "subject", Leaf((), common_name="localhost", purpose=BOTH)
            ),
            "revoked": self._revoked(),
            "none": None,
        }

    def _alone(self) -> Any:
        key = key_of_type("ecdsa-p256")
        leaf = self.intermediate.issue(Leaf(purpose=BOTH), key.public_key())
        return self.files.write("alone.pem", pem_of(leaf) + key_pem(key))

    def _self_signed(self) -> Any:
        certificate, key = self_signed(Leaf(common_name="localhost", purpose=BOTH))
        return self.files.write("self.pem", pem_of(certificate) + key_pem(key))

    def _revoked(self) -> Any:
        return self.files.leaf("revoked", Leaf(purpose=BOTH, serial_number=4711))

    @property
    def lists(self) -> bytes:
        from cryptography.hazmat.primitives.serialization import Encoding

        return self.pki.crl([4711]).public_bytes(Encoding.PEM)

    def load(self, context: ssl.SSLContext, loaded: str) -> None:
        data = b""
        if "root" in loaded:
            data += self.pki.ca_pem
        if "intermediate" in loaded:
            data += self.intermediate.pem
        if "list" in loaded:
            data += self.lists
        if loaded == "leaf":
            data += self.chains["good"].read_bytes().partition(b"-----BEGIN PRIVATE")[0]
        if data:
            context.load_verify_locations(self.files.write("loaded.pem", data))


def accepts(kind: str, setting: Setting, peers: Peers, chain: Any) -> bool:
    """Whether a context of this kind completes the handshake with a peer that shows `chain`."""
    side = setting.server_side
    protocol = ssl.PROTOCOL_TLS_SERVER if side else ssl.PROTOCOL_TLS_CLIENT
    context = CONTEXTS[kind](protocol)
    context.check_hostname = setting.check_hostname
    context.verify_mode = setting.mode
    context.verify_flags |= FLAGS[setting.flags]
    peers.load(context, setting.loaded)
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if side else ssl.PROTOCOL_TLS_SERVER)
    if side:
        context.load_cert_chain(peers.chains["good"])
        other.check_hostname, other.verify_mode = False, ssl.CERT_NONE
    if chain is not None:
        other.load_cert_chain(chain)
    try:
        pair = Bios(context, other) if side else Bios(other, context)
        pair.handshake()
        # In TLS 1.3 the server's opinion of a client's certificate comes after the client's part.
        pair.client.write(b"x")
        return pair.server.read(1) == b"x"
    except ssl.SSLError:
        return False


def marked(setting: Setting) -> Any:
    """The setting as a parameter; the plain ones are the fast part."""
    is_plain = setting.flags == "plain" and setting.loaded in ("nothing", "root")
    name = "-".join(map(str, setting))
    return pytest.param(setting, id=name, marks=() if is_plain else pytest.mark.long)


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Peers:
    return Peers(Files(Pki(), tmp_path_factory.mktemp("peers")))


@pytest.mark.parametrize("setting", [*map(marked, settings())])
def test_ours_accepts_only_what_ssl_accepts(peers: Peers, setting: Setting) -> None:
    ours = {name for name, chain in peers.chains.items() if accepts_ours(setting, peers, chain)}
    theirs = {name for name, chain in peers.chains.items() if accepts("ssl", setting, peers, chain)}
    assert ours <= theirs
    # It refuses no more than it must: the differences are listed, each with its reason.
    assert theirs - ours <= STRICTER.keys()


def accepts_ours(setting: Setting, peers: Peers, chain: Any) -> bool:
    return accepts("handclasp", setting, peers, chain)


STRICTER = {
    "a name in the subject": "The common name is never a server's name (RFC 9525 section 2).",
    "an authority's": "An authority's certificate is no server's and no client's (path building).",
}
"""Peers that `ssl` may accept and ours refuses, with the reason."""


def test_the_matrix_can_tell(peers: Peers) -> None:
    """Both answers occur, so an empty set on both sides does not pass for agreement."""
    setting = Setting(False, ssl.CERT_REQUIRED, True, "plain", "root")
    for kind in CONTEXTS:
        assert accepts(kind, setting, peers, peers.chains["good"])
        assert not accepts(kind, setting, peers, peers.chains["a stranger's"])
        assert not accepts(kind, setting, peers, peers.chains["of another name"])
        nothing = setting._replace(loaded="nothing")
        assert not accepts(kind, nothing, peers, peers.chains["good"])
        anybody = setting._replace(mode=ssl.CERT_NONE, check_hostname=False)
        assert accepts(kind, anybody, peers, peers.chains["a stranger's"])


STRICT, LEAF_LISTS = ssl.VERIFY_X509_STRICT, ssl.VERIFY_CRL_CHECK_LEAF
SWITCHED: dict[str, tuple[str, dict[str, Any]]] = {
    "nobody is asked": ("nothing", {"verify_mode": ssl.CERT_NONE}),
    "optional": ("root", {"verify_mode": ssl.CERT_OPTIONAL}),
    "required": ("root", {}),
    "no authorities": ("nothing", {}),
    "strict": ("root", {"verify_flags": STRICT}),
    "with lists that count": ("root and list", {"verify_flags": LEAF_LISTS}),
    "with lists that do not count": ("root and list", {}),
    "a leaf that is an anchor": ("leaf", {"verify_flags": PARTIAL_CHAIN}),
    "from TLS 1.3 on": ("root", {"minimum_version": ssl.TLSVersion.TLSv1_3}),
    "without TLS 1.3": ("root", {"options": ssl.OP_NO_TLSv1_3}),
    "without a name": ("root", {"check_hostname": False}),
}
"""Contexts of which one is replaced by another during the connection: what is loaded, and set."""

SWITCHING_PEERS = (
    "good",
    "a stranger's",
    "revoked",
    "without an issuer's key",
    "of another name",
    "without the intermediate",
    "none",
)


def context_of(kind: str, name: str, peers: Peers, *, side: bool) -> ssl.SSLContext:
    loaded, values = SWITCHED[name]
    context = CONTEXTS[kind](ssl.PROTOCOL_TLS_SERVER if side else ssl.PROTOCOL_TLS_CLIENT)
    if side:
        context.load_cert_chain(peers.chains["good"])
        context.verify_mode = ssl.CERT_REQUIRED
    elif values.get("verify_mode") == ssl.CERT_NONE:
        context.check_hostname = False
    peers.load(context, loaded)
    for setting, value in values.items():
        if setting in ("options", "verify_flags"):
            setattr(context, setting, getattr(context, setting) | value)
        elif not (side and setting == "check_hostname"):
            setattr(context, setting, value)
    return context


def accepts_after_switch(
    kind: str, names: tuple[str, str], peers: Peers, chain: Any, version: Any, *, side: bool
) -> bool:
    """Whether a handshake completes in which the first of the contexts is replaced."""
    first, second = (context_of(kind, name, peers, side=side) for name in names)
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if side else ssl.PROTOCOL_TLS_SERVER)
    other.minimum_version = other.maximum_version = version
    if chain is not None:
        other.load_cert_chain(chain)
    try:
        if side:
            other.check_hostname, other.verify_mode = False, ssl.CERT_NONE
            first.sni_callback = lambda sock, *_: setattr(sock, "context", second)
            pair = Bios(first, other)
        else:
            pair = Bios(other, first)
            pair.client.context = second
        pair.handshake()
        pair.client.write(b"x")
        return pair.server.read(1) == b"x"
    except ssl.SSLError:
        return False


def marked_pair(first: str, second: str, *, side: bool) -> Any:
    """Two contexts as a parameter; those where the new one asks nobody are the fast part."""
    is_plain = second == "nobody is asked" or first == second == "required"
    name = f"{'server' if side else 'client'}-{first}-{second}"
    return pytest.param(first, second, side, id=name, marks=() if is_plain else pytest.mark.long)


@pytest.mark.filterwarnings(
    "ignore:ssl.OP_NO_SSL:DeprecationWarning",
    # Two contexts without a version in common: what the callback raises is reported, as by ssl.
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning",
)
@pytest.mark.parametrize(
    ("first", "second", "side"),
    [
        marked_pair(first, second, side=side)
        for side in (True, False)
        for first, second in itertools.product(SWITCHED, SWITCHED)
    ],
)
def test_a_context_that_replaces_another_loses_none_of_its_demands(
    peers: Peers, first: str, second: str, side: bool
) -> None:
    theirs, ours = set[Any](), set[Any]()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for name in SWITCHING_PEERS:
            chain, names = peers.chains[name], (first, second)
            for kind, accepted in (("ssl", theirs), ("handclasp", ours)):
                if accepts_after_switch(kind, names, peers, chain, version, side=side):
                    accepted.add((version.name, name))
    assert ours <= theirs
    if first == second:
        assert ours == theirs
    if first == second == "required":
        assert ("TLSv1_3", "good") in ours


@pytest.mark.parametrize(
    ("side", "first", "second", "peer"),
    [
        (True, "required", "nobody is asked", "none"),
        (False, "required", "nobody is asked", "a stranger's"),
        (True, "with lists that count", "with lists that do not count", "revoked"),
        (True, "required", "a leaf that is an anchor", "good"),
        (False, "required", "without a name", "of another name"),
        (True, "from TLS 1.3 on", "required", "good"),
    ],
)
def test_each_demand_of_the_first_context_holds(
    peers: Peers, side: bool, first: str, second: str, peer: str
) -> None:
    """The new context alone would let this peer in, over TLS 1.2."""
    chain, version = peers.chains[peer], ssl.TLSVersion.TLSv1_2
    for kind in CONTEXTS:
        alone, both = (second, second), (first, second)
        assert accepts_after_switch(kind, alone, peers, chain, version, side=side)
        assert not accepts_after_switch(kind, both, peers, chain, version, side=side)


def test_a_name_to_compare_is_needed(peers: Peers) -> None:
    """`ssl` refuses sockets without one, and forgets about memory BIOs."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(peers.chains["good"])
    client = CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_CLIENT)
    peers.load(client, "root")
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        Bios(server, client, server_hostname=None).handshake()
    assert caught.value.verify_code == 62
    refusal: Any = caught.value
    assert refusal.blame == "local"
    assert "server_hostname" in refusal.fix
    client.check_hostname = False
    pair = Bios(server, client, server_hostname=None).handshake()
    shown = pair.client.getpeercert()
    assert shown is not None
    assert shown["subjectAltName"] == (("DNS", "localhost"),)


@pytest.mark.parametrize("path", ["capath", "cadata", "cafile"])
def test_each_way_to_load(peers: Peers, path: str) -> None:
    """The authorities of files, directories and data are trusted, and no others."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(peers.chains["good"])
    for pki, is_trusted in ((peers.pki, True), (Pki(), False)):
        client = CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_CLIENT)
        der = x509.load_pem_x509_certificate(pki.ca_pem).public_bytes(Encoding.DER)
        if path == "cadata":
            client.load_verify_locations(cadata=der + der)
        elif path == "cafile":
            client.load_verify_locations(peers.files.write("other.pem", b"text\n" + pki.ca_pem))
        else:
            directory = peers.files.directory / f"hashed-{is_trusted}"
            directory.mkdir(exist_ok=True)
            (directory / "0123abcd.0").write_bytes(pki.ca_pem)
            client.load_verify_locations(capath=directory)
        if is_trusted:
            Bios(server, client).handshake()
            continue
        with pytest.raises(ssl.SSLCertVerificationError):
            Bios(server, client).handshake()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("maximum_version", ssl.TLSVersion.TLSv1_1),
        ("verify_flags", ssl.VERIFY_ALLOW_PROXY_CERTS),
        ("verify_flags", 0x10),
    ],
)
def test_settings_that_cannot_be_honoured(setting: str, value: Any) -> None:
    context = CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_CLIENT)
    before = getattr(context, setting)
    with pytest.raises(ValueError, match="cannot be honoured"):
        setattr(context, setting, value)
    assert getattr(context, setting) == before


def test_versions_that_cannot_be_honoured_fail_as_connections_of_ssl_do() -> None:
    """Suites that try which versions there are, as urllib3's, catch the error of a connection."""
    with pytest.raises(ssl.SSLError, match="maximum_version TLSv1 cannot be honoured"):
        CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_CLIENT).maximum_version = ssl.TLSVersion.TLSv1
    with pytest.raises(ssl.SSLError, match="unsupported protocol version"):
        CONTEXTS["handclasp"](ssl.PROTOCOL_TLSv1)


def test_protocols_that_cannot_be_honoured() -> None:
    for protocol in (ssl.PROTOCOL_TLSv1, ssl.PROTOCOL_TLSv1_1):
        with pytest.raises(ValueError, match=r"TLS 1\.2 and TLS 1\.3"):
            CONTEXTS["handclasp"](protocol)


def test_ciphers_that_cannot_be_honoured() -> None:
    context = CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_CLIENT)
    before = context.get_ciphers()
    for text in ("AES128-SHA", "AES256-GCM-SHA384", "no such suite"):
        with pytest.raises(ssl.SSLError, match="No cipher can be selected"):
            context.set_ciphers(text)
        assert context.get_ciphers() == before
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA")
    names = [each["name"] for each in context.get_ciphers()]
    assert names[-1] == "ECDHE-RSA-AES128-GCM-SHA256"
    assert all(name.startswith("TLS_") for name in names[:-1])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES128-SHA (CBC, not an AEAD)"),
        ("AES256-GCM-SHA384", "AES256-GCM-SHA384 (no forward secrecy)"),
        (
            "DHE-RSA-AES256-GCM-SHA384",
            "DHE-RSA-AES256-GCM-SHA384 (DHE, not ECDHE with a certificate)",
        ),
        ("PSK-AES128-GCM-SHA256", "(PSK, not ECDHE with a certificate)"),
        ("ECDHE-ECDSA-AES128-CCM", "ECDHE-ECDSA-AES128-CCM (an AEAD that is not supported)"),
        ("AECDH-AES128-SHA:@SECLEVEL=0", "AECDH-AES128-SHA (not secure)"),
        ("kRSA", " more. It has ECDHE-"),
    ],
)
def test_it_is_told_why_a_suite_is_not_there(text: str, why: str) -> None:
    """It is no misspelt name, for which OpenSSL has the same first words, and no others."""
    context = CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ssl.SSLError) as caught:
        context.set_ciphers(text)
    told = str(caught.value)
    assert "No cipher can be selected. handclasp has none of the suites" in told
    assert why in told
    assert len(told) < 800
    there = told.partition("It has ")[2].rstrip(".'),").split(", ")
    context.set_ciphers(":".join(there))
    assert {each["name"] for each in context.get_ciphers()} >= set(there)
    with pytest.raises(ssl.SSLError) as misspelt:
        context.set_ciphers("ECDHE-RSA-AES128-SHAA")
    assert "handclasp" not in str(misspelt.value)


def test_it_is_told_which_groups_are_there() -> None:
    context = CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ValueError, match="unknown elliptic curve name 'brainpoolP256r1': ") as told:
        context.set_ecdh_curve("brainpoolP256r1")
    there = str(told.value).partition(" are ")[2].split(", ")
    assert there[0] == "prime256v1"
    assert {"X25519", "X448", "X25519MLKEM768"} < set(there)
    for name in there:
        context.set_ecdh_curve(name)


def test_new_settings_of_ssl_cannot_be_honoured() -> None:
    """What a later Python adds would be ignored otherwise."""
    context = CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_CLIENT)
    setter = refusing("set_ecdh_curve")
    with pytest.raises(ssl.SSLError, match="set_ecdh_curve cannot be honoured"):
        setter(context, "prime256v1")
    setter(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "prime256v1")


def test_no_version_is_left() -> None:
    context = CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="no protocols available"):
        Bios(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), context)


HOSTS = ("localhost", "example.com", "127.0.0.1", "::1", "b\u00fccher.example")
SPELLINGS = ("{}", "[{}]", "{}.", "[{}].", "[{}.]", "{}\u3002", "{}%", "{}%0", "{}%lo", "[{}%lo]")
MISTAKES = (" {}", "{} ", "{}:443", "*.{}", "{}/", "u@{}")
ODD = ("127.0.0.01", "0::1", "[0:0:0:0:0:0:0:1]", "a.wild.example", "LocalHost.")
NAMES = (*(form.format(host) for host in HOSTS for form in (*SPELLINGS, *MISTAKES)), *ODD)
"""Names in the spellings that programs give them in, right and wrong."""


class Named:
    """A server with all names of `HOSTS` in its certificate, for clients that give theirs."""

    def __init__(self, peers: Peers) -> None:
        names = ("localhost", "example.com", "127.0.0.1", "::1", "xn--bcher-kva.example")
        self.peers, self.server = peers, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        chain = peers.files.leaf("named by all", Leaf((*names, "*.wild.example"), purpose=BOTH))
        self.server.load_cert_chain(chain)

    def client(self, kind: str) -> Any:
        context = CONTEXTS[kind](ssl.PROTOCOL_TLS_CLIENT)
        self.peers.load(context, "root")
        return context

    def error(self, client: ssl.SSLContext, name: str) -> ssl.SSLError | None:
        """The failure of a client that gives this name."""
        try:
            Bios(self.server, client, server_hostname=name).handshake()
        except ssl.SSLError as error:
            return error
        return None


@pytest.fixture(scope="module")
def named(peers: Peers) -> Named:
    return Named(peers)


def test_ours_accepts_only_names_that_ssl_accepts(named: Named) -> None:
    ours, theirs = named.client("handclasp"), named.client("ssl")
    accepted = {name for name in NAMES if named.error(ours, name) is None}
    assert accepted <= {name for name in NAMES if named.error(theirs, name) is None}
    assert {*HOSTS, "a.wild.example"} <= accepted


@pytest.mark.parametrize("name", ["127.0.0.01", " 127.0.0.1", "127.0.0.1 ", "1.2.3", "host.7"])
def test_what_ends_in_a_number_is_an_address_or_nothing(named: Named, name: str) -> None:
    client = named.client("handclasp")
    error: Any = named.error(client, name)
    assert f"for {name!r}: it ends in a number, as an address does" in error.explanation
    assert "Write the address as four decimal numbers" in error.fix
    assert error.blame == "local"
    client.check_hostname = False
    asked: list[str | None] = []
    named.server.sni_callback = lambda _, name, __: asked.append(name)
    try:
        assert named.error(client, name) is None
    finally:
        named.server.sni_callback = None
    assert asked == [None]


def test_asyncio_without_a_name(named: Named) -> None:
    """For `server_hostname=""` it gives none: with check_hostname, `ssl` accepts anybody then."""
    client = named.client("handclasp")

    async def connect() -> None:
        async with await asyncio.start_server(
            lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=named.server
        ) as server:
            address = server.sockets[0].getsockname()
            _, writer = await asyncio.open_connection(*address, ssl=client, server_hostname="")
            writer.close()

    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        asyncio.run(connect())
    error: Any = caught.value
    assert error.verify_message == "Hostname mismatch, no server_hostname was given."
    assert "check_hostname needs a server_hostname to compare" in error.explanation
    assert "context.check_hostname = False" in error.fix
    client.check_hostname = False
    asyncio.run(connect())


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("localhost.", "localhost"),
        ("xn--bcher-kva.example.", "xn--bcher-kva.example"),
        ("127.0.0.1.", "127.0.0.1"),
        ("127.0.0.1%0", "127.0.0.1"),
        ("[::1]", "::1"),
        ("::1%lo", "::1"),
        ("[::1%lo]", "::1"),
    ],
)
def test_a_name_in_another_spelling_fails_as_with_ssl(named: Named, name: str, right: str) -> None:
    theirs = named.error(named.client("ssl"), name)
    ours: Any = named.error(named.client("handclasp"), name)
    for error in (ours, theirs):
        assert isinstance(error, ssl.SSLCertVerificationError)
        assert error.reason == "CERTIFICATE_VERIFY_FAILED"
        assert error.verify_code == 62
    assert ours.verify_message == theirs.verify_message  # type: ignore[union-attr]
    assert f"{right!r}" in ours.fix
    assert ours.blame == "local"
    assert named.error(named.client("handclasp"), right) is None
    # Who does not compare names gives them as before, and another fault comes first.
    unnamed = named.client("handclasp")
    unnamed.check_hostname = False
    assert named.error(unnamed, name) is None
    stranger: Any = named.error(CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_CLIENT), name)
    assert stranger.fault_name == "CERTIFICATE_UNTRUSTED"


@pytest.mark.parametrize(
    "name",
    [
        "localhost:443",
        "127.0.0.1:443",
        "[::1]:443",
        " localhost",
        "localhost\n",
        "https://localhost",
        "user@localhost",
        "%",
    ],
)
def test_what_is_no_name_fails_as_with_ssl(named: Named, name: str) -> None:
    theirs: Any = named.error(named.client("ssl"), name)
    ours: Any = named.error(named.client("handclasp"), name)
    for error in (ours, theirs):
        assert isinstance(error, ssl.SSLCertVerificationError)
        assert (error.reason, error.verify_code) == ("CERTIFICATE_VERIFY_FAILED", 62)
    assert ours.verify_message == theirs.verify_message
    assert "neither a DNS name nor an IP address" in ours.explanation
    assert "Give the server's name alone" in ours.fix
    assert ours.blame == "local"
    # Who does not compare names connects as before, and another fault comes first.
    unnamed = named.client("handclasp")
    unnamed.check_hostname = False
    assert named.error(unnamed, name) is None
    stranger: Any = named.error(CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_CLIENT), name)
    assert stranger.fault_name == "CERTIFICATE_UNTRUSTED"


def test_a_name_that_is_too_long_is_refused_as_by_ssl(named: Named) -> None:
    for kind in CONTEXTS:
        client = named.client(kind)
        for client.check_hostname in (False, True):
            with pytest.raises(ssl.SSLError, match="ssl3 ext invalid servername") as caught:
                Bios(named.server, client, server_hostname=".".join(["a" * 60] * 5))
            assert caught.value.reason == "SSL3_EXT_INVALID_SERVERNAME"


def test_no_session_passes_by_the_spelling_of_a_name(named: Named) -> None:
    """Neither one that is given, nor one of the store, which names them by their usual spelling."""
    client = named.client("handclasp")
    client.resume = SessionStore()
    pair = Bios(named.server, client).handshake()
    pair.server.write(b"x")
    assert pair.client.read(1) == b"x"
    for session in (None, pair.client.session):
        for name in ("localhost.", "localhost:443"):
            again = Bios(named.server, client, server_hostname=name, session=session)
            with pytest.raises(ssl.SSLCertVerificationError):
                again.handshake()
    last = Bios(named.server, client).handshake()
    assert last.client.session_reused


@pytest.mark.parametrize("count", [10, 11])
@pytest.mark.parametrize("side", [False, True])
def test_more_certificates_than_the_limit(peers: Peers, side: bool, count: int) -> None:
    """As docs/compat.md says, on a server and a client, whether or not they verify."""
    pem = peers.chains["good"].read_bytes()
    key = pem[pem.index(b"-----BEGIN PRIVATE") :]
    chain = pem.removesuffix(key) + peers.pki.ca_pem * (count - pem.count(b"BEGIN CERTIFICATE"))
    sent = peers.files.write(f"{count}.pem", chain + key)
    modes = (ssl.CERT_REQUIRED,) if side else (ssl.CERT_NONE, ssl.CERT_REQUIRED)
    for mode in modes:
        setting = Setting(side, mode, False, "plain", "root")
        assert accepts("ssl", setting, peers, sent)
        assert accepts_ours(setting, peers, sent) == (count == 10)
