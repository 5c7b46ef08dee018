"""What it costs to refuse a stranger's certificates, and to say why: counted, whatever they hold.

Work is every call, line and return of Python, and every call of what is not Python. It is counted
with twice as much of each thing that a peer can put into a chain, and may be twice as much then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cache, partial
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.adapters.streams import close, echo, open_local, run, serving
from tests.certificates.hostile import SAN, sequence, tlv
from tests.counting import work_of
from tests.pki import (
    DAY,
    Authority,
    Leaf,
    Pki,
    authority_certificate,
    der_of,
    key_of_type,
    leaf_builder,
    name_constraints,
    sign,
)

from handclasp import (
    CertificateError,
    ClientAuth,
    ClientConfig,
    Credentials,
    Fault,
    PeerAlertError,
    ServerConfig,
)
from handclasp.certificates import explain, explanation, path, walk
from handclasp.certificates.credentials import LocalSigner
from handclasp.certificates.describe import describe, described
from handclasp.certificates.names import subject_of
from handclasp.certificates.reading import read_or_none
from handclasp.certificates.trust import TrustStore
from handclasp.certificates.verify import verify_client_chain, verify_server_chain
from handclasp.cli import identity

EVENTS_OF_A_REFUSAL = 100_000
"""Of the worst chain of 128 KB: some 5 ms. It was 50 million once."""

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
KEY = key_of_type("ecdsa-p256", number=90)


@cache
def pki() -> Pki:
    return Pki()


@cache
def now() -> Any:
    return pki().now


def long_name(parts: int, common_name: str = "") -> x509.Name:
    unit = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "x")
    last = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    return x509.Name([*[unit] * parts, *last])


def authority_of(
    subject: x509.Name,
    issuer: x509.Name,
    key: Any = KEY,
    signed_by: Any = None,
    extensions: Sequence[tuple[x509.ObjectIdentifier, bytes]] = (),
) -> x509.Certificate:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - DAY)
        .not_valid_after(now() + DAY)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(identifier, critical=False)
    )
    for oid, value in extensions:
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
    return builder.sign(signed_by or key, hashes.SHA256())


def self_issued(certificates: int, parts: int = 1, *, same_key: bool = False) -> Sequence[bytes]:
    """Authorities of one name, each signed by itself; with one key, each by each other, too."""
    name = long_name(parts)
    keys = [key_of_type("ecdsa-p256", 90 + (0 if same_key else n)) for n in range(certificates)]
    return der_of(*[authority_of(name, name, key) for key in keys])


def below(leaf: Leaf, *, by: Any = None) -> Sequence[bytes]:
    """A leaf that the trusted authority issued."""
    return der_of((by or pki()).issue(leaf, KEY.public_key()))


def sans(number: int) -> list[str]:
    return [f"h{index}.example" for index in range(number)]


def oids(number: int) -> list[x509.ObjectIdentifier]:
    return [x509.ObjectIdentifier(f"1.2.3.{index}") for index in range(number)]


def with_names(number: int) -> Sequence[bytes]:
    return below(Leaf(sans(number)))


def with_common_names(number: int) -> Sequence[bytes]:
    """All of them look like hosts and are among the names."""
    names = [*sans(number), "localhost"]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in sans(number)])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(pki().key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(pki().certificate.subject)
        .public_key(KEY.public_key())
        .serial_number(7)
        .not_valid_before(now() - DAY)
        .not_valid_after(now() + DAY)
        .add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, names))), critical=False)
        .add_extension(x509.ExtendedKeyUsage([SERVER]), critical=False)
        .add_extension(identifier, critical=False)
    )
    return der_of(sign(builder, pki().key))


def with_purposes(number: int) -> Sequence[bytes]:
    return below(Leaf(purpose=oids(number)))


def with_extensions(number: int) -> Sequence[bytes]:
    others = [x509.UnrecognizedExtension(oid, b"") for oid in oids(number)]
    return below(Leaf(("other.example",), extensions=others))


def with_policies(number: int) -> Sequence[bytes]:
    policies = x509.CertificatePolicies([x509.PolicyInformation(oid, None) for oid in oids(number)])
    return below(Leaf(("other.example",), extensions=[policies]))


def with_constraints(number: int) -> Sequence[bytes]:
    """Names below an authority with constraints, each of which is compared with each."""
    trees = [f"t{index}.example" for index in range(number)]
    middle = pki().intermediate(extensions=[name_constraints(excluded=trees)])
    leaf = middle.issue(Leaf(sans(number)), KEY.public_key())
    return der_of(leaf, middle.certificate)


def with_mail_constraints(number: int) -> Sequence[bytes]:
    """One long address, and constraints that it must be taken apart for."""
    address = x509.RFC822Name("x" * 20 * number + "@other.example")
    trees = x509.NameConstraints(
        None, [x509.RFC822Name(f"a{index}@t.example") for index in range(number)]
    )
    middle = pki().intermediate(extensions=[trees])
    leaf = middle.issue(Leaf(["other.example", address]), KEY.public_key())
    return der_of(leaf, middle.certificate)


def with_directory_constraints(number: int) -> Sequence[bytes]:
    names = [x509.DirectoryName(long_name(number)) for _ in range(8)]
    middle = pki().intermediate(extensions=[x509.NameConstraints(names, None)])
    leaf = middle.issue(Leaf(("other.example",)), KEY.public_key())
    return der_of(leaf, middle.certificate)


KINDS: dict[str, tuple[Callable[[int], Sequence[bytes]], int]] = {
    "certificates that sign themselves": (self_issued, 5),
    "certificates that sign each other": (lambda number: self_issued(number, same_key=True), 5),
    "parts of names": (lambda number: self_issued(10, number), 260),
    "names": (with_names, 1_000),
    "common names": (with_common_names, 200),
    "purposes": (with_purposes, 1_000),
    "extensions": (with_extensions, 500),
    "policies": (with_policies, 1_000),
    "names and constraints": (with_constraints, 200),
    "long addresses and constraints": (with_mail_constraints, 200),
    "parts of constraints": (with_directory_constraints, 60),
}


def refuse(chain: Sequence[bytes], trust: TrustStore) -> CertificateError:
    with pytest.raises(CertificateError) as caught:
        verify_server_chain(chain, trust, "localhost", now())
    return caught.value


def explained(chain: Sequence[bytes], trust: TrustStore) -> None:
    told = explain(chain, "localhost", trust, now())
    assert not told.accepted
    assert told.to_json()


@pytest.mark.parametrize("way", [refuse, explained], ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_twice_as_much_is_no_more_than_twice_the_work(
    kind: str, way: Callable[[Sequence[bytes], TrustStore], object]
) -> None:
    make, number = KINDS[kind]
    trust = pki().trust.prepare()
    once, twice = make(number), make(2 * number)
    if kind == "common names":
        trust = Pki("test root").trust.prepare()  # Another one of this name.
    way(make(1), trust)  # What is imported late is imported now.
    first, second = (work_of(partial(way, chain, trust)) for chain in (once, twice))
    assert second < 2.3 * first


def test_common_names_that_are_all_right_are_no_more_than_twice_the_work() -> None:
    def accept(chain: Sequence[bytes]) -> None:
        assert verify_server_chain(chain, pki().trust, "localhost", now()).verified

    accept(with_common_names(1))
    first, second = (work_of(partial(accept, n)) for n in map(with_common_names, (200, 400)))
    assert second < 2.3 * first


def noting(function: Callable[..., Any], calls: list[object]) -> Callable[..., Any]:
    """The function, which also adds the arguments of each call to `calls`."""

    def noted(*given: Any, **named: Any) -> Any:
        calls.append(given)
        return function(*given, **named)

    return noted


def written_out(monkeypatch: pytest.MonkeyPatch) -> list[x509.NameAttribute[Any]]:
    """The parts of names that are written out from now on."""
    written: list[x509.NameAttribute[Any]] = []
    whole = x509.NameAttribute.rfc4514_string

    def noting(self: x509.NameAttribute[Any], *given: Any) -> str:
        written.append(self)
        return whole(self, *given)

    monkeypatch.setattr(x509.NameAttribute, "rfc4514_string", noting)
    return written


class TestTheWorstChain:
    """Ten authorities of one name of 520 parts: 127 KB, and 3 KB when they are compressed."""

    chain = self_issued(10, 520)

    def test_it_is_refused_within_so_much_work(self) -> None:
        trust = pki().trust.prepare()

        def refused_as_client() -> None:
            with pytest.raises(CertificateError):
                verify_client_chain(self.chain, trust, now())

        def refused_as_server() -> None:
            with pytest.raises(CertificateError):
                verify_server_chain(self.chain, trust, "localhost", now())

        for refused in (refused_as_client, refused_as_server):
            refused()
            assert work_of(refused) < EVENTS_OF_A_REFUSAL

    def test_no_long_name_is_taken_apart(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rendered: list[x509.Name] = []
        whole = x509.Name.rfc4514_string

        def noting(self: x509.Name, *given: Any) -> str:
            rendered.append(self)
            return whole(self, *given)

        monkeypatch.setattr(x509.Name, "rfc4514_string", noting)
        attributes = written_out(monkeypatch)
        error = refuse(self.chain, pki().trust)
        assert "a name of 6" in str(error)
        assert max([len(name.rdns) for name in rendered], default=0) < 100
        assert len(rendered) < 20
        assert len(attributes) < 100

    def test_the_verifier_is_not_asked_where_no_name_leads_to_an_anchor(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[object] = []
        monkeypatch.setattr(path, "_verified", lambda *given: asked.append(given))
        refuse(self.chain, pki().trust)
        assert asked == []

    def test_an_asyncio_server_answers_others_meanwhile(self) -> None:
        """Each of these refusals took 2.4 s once, in which the loop did nothing else."""
        same = self_issued(10, 520, same_key=True)  # In order, as credentials must be.
        chain = [x509.load_der_x509_certificate(der) for der in same]
        stranger = ClientConfig(
            trust=pki().trust, credentials=Credentials.from_signer(chain, LocalSigner(KEY))
        )
        honest = ClientConfig(trust=pki().trust)
        server = ServerConfig(
            credentials=pki().server(), trust=pki().trust, client_auth=ClientAuth.OPTIONAL
        )

        async def be_refused(port: int) -> None:
            reader, writer = await open_local(port, stranger, server_name="localhost")
            with pytest.raises(PeerAlertError):
                await reader.read()
            await close(writer)

        async def be_answered(port: int) -> None:
            reader, writer = await open_local(port, honest, server_name="localhost")
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            await close(writer)

        async def main() -> None:
            async with serving(echo, server) as port:
                refused = [asyncio.ensure_future(be_refused(port)) for _ in range(20)]
                await asyncio.wait_for(be_answered(port), 10)
                await asyncio.gather(*refused)

        run(main())

    @pytest.mark.parametrize("same_key", [True, False])
    def test_so_many_signatures_are_checked(
        self, monkeypatch: pytest.MonkeyPatch, same_key: bool
    ) -> None:
        checked: list[object] = []
        check = path.is_signed_by

        def noting(*given: Any) -> bool:
            checked.append(given)
            return check(*given)

        monkeypatch.setattr(walk, "is_signed_by", noting)
        monkeypatch.setattr(path, "is_signed_by", noting)
        refuse(self_issued(10, same_key=same_key), pki().trust)
        assert 0 < len(checked) <= 32


def test_a_chain_that_only_names_an_anchor_is_not_walked_by_the_verifier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Authorities that sign each other would take it to its limit, of 128 signatures."""
    asked: list[object] = []
    monkeypatch.setattr(path, "_verified", lambda *given: asked.append(given))
    name = long_name(0, "anybody")
    root = pki().certificate.subject
    others = [authority_of(name, issuer) for issuer in (name, name, name, root, root)]
    leaf = Leaf(extensions=[])
    builder = leaf_builder(leaf, KEY.public_key(), name, now())
    refuse(der_of(sign(builder, KEY), *others), pki().trust)
    assert asked == []


def test_many_authorities_of_one_name_are_not_all_tried_on_many_certificates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A config may allow more certificates than ten, and other programs verify chains as well."""
    checked: list[object] = []
    check = path.is_signed_by
    monkeypatch.setattr(path, "is_signed_by", noting(check, checked))
    root, name = pki(), pki().intermediate().certificate.subject
    keys = [key_of_type("ecdsa-p256", 100 + number) for number in range(12)]
    above = [authority_of(name, root.certificate.subject, key, root.key) for key in keys]
    below = [authority_of(name, name)] * 40
    leaf = leaf_builder(Leaf(), KEY.public_key(), name, now())
    refuse(der_of(sign(leaf, KEY), *above, *below), pki().trust)
    assert 41 < len(checked) <= 128


def addresses(number: int) -> list[x509.GeneralName]:
    return [x509.IPAddress(IPv4Address(index)) for index in range(number)]


def leaf_of(
    by: Authority | Pki, names: Sequence[x509.GeneralName], subject: x509.Name | None = None
) -> x509.Certificate:
    """A leaf for these names, of a subject that may have any form."""
    subject = long_name(1) if subject is None else subject
    authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject)
        .public_key(KEY.public_key())
        .serial_number(7)
        .not_valid_before(now() - DAY)
        .not_valid_after(now() + DAY)
        .add_extension(x509.SubjectAlternativeName(names), critical=not subject.rdns)
        .add_extension(x509.ExtendedKeyUsage([SERVER, CLIENT]), critical=False)
        .add_extension(authority_key, critical=False)
    )
    return sign(builder, by.key)


def large_leaf(field: str, by: Pki) -> x509.Certificate:
    """A leaf of more than 20 KB, of which one field takes nearly all."""
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    if field == "addresses":
        names += addresses(4_000)
    if field == "directory names":
        names += [x509.DirectoryName(long_name(150))] * 15
    return leaf_of(by, names, long_name(2_000 if field == "subject" else 1))


@pytest.mark.parametrize("field", ["subject", "directory names", "addresses"])
class TestLargeCertificates:
    def test_the_verifier_reads_none_that_no_authority_signed(
        self, field: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It makes objects of all names before it looks at the signature."""
        asked: list[object] = []
        monkeypatch.setattr(path, "_verified", noting(path._verified, asked))
        stranger = Pki()  # Another key under the name of the authority.
        assert stranger.certificate.subject == pki().certificate.subject
        error = refuse(der_of(large_leaf(field, stranger)), pki().trust)
        assert asked == []
        assert error.fault is Fault.CERTIFICATE_UNTRUSTED

    def test_one_that_an_authority_signed_is_accepted(self, field: str) -> None:
        chain = der_of(large_leaf(field, pki()))
        assert verify_server_chain(chain, pki().trust, "localhost", now()).verified


@pytest.mark.parametrize("way", [refuse, explained], ids=lambda way: way.__name__)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("number", [4_000, 8_000])
def test_names_beyond_all_measure_are_not_read(
    number: int,
    place: int,
    way: Callable[[Sequence[bytes], TrustStore], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An authority signed them, and still it took 38 ms to refuse them."""
    chain = [
        leaf_of(pki(), [x509.DNSName("localhost")]),
        leaf_of(pki(), [x509.DNSName("localhost")], long_name(number)),
    ]
    if not place:
        chain.reverse()
    made: list[object] = []
    whole = x509.NameAttribute.__init__
    monkeypatch.setattr(x509.NameAttribute, "__init__", noting(whole, made))
    error = refuse(der_of(*chain), pki().trust)
    assert error.fault is Fault.BAD_CERTIFICATE
    assert "32768 are accepted" in str(error)
    made.clear()
    way(der_of(*chain), pki().trust)
    assert len(made) < 100


MANY_EXTENSIONS: dict[str, Callable[[], x509.Certificate]] = {
    "directory names": lambda: leaf_of(
        pki(), [x509.DNSName("localhost"), *[x509.DirectoryName(long_name(150))] * 20]
    ),
    "addresses": lambda: leaf_of(pki(), [x509.DNSName("localhost"), *addresses(6_000)]),
    "DNS names of one letter": lambda: leaf_of(
        pki(), [x509.DNSName("localhost"), *[x509.DNSName("a")] * 17_000]
    ),
    "extensions": lambda: authority_of(
        long_name(1), long_name(1), extensions=[(oid, b"") for oid in oids(4_000)]
    ),
}
"""Certificates of which reading 120 KB took 20 to 45 ms."""


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("kind", MANY_EXTENSIONS)
def test_extensions_beyond_all_measure_are_not_read(
    kind: str, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where an authority signed them."""
    chain = [leaf_of(pki(), [x509.DNSName("localhost")]), MANY_EXTENSIONS[kind]()]
    if not place:
        chain.reverse()
    asked: list[object] = []
    monkeypatch.setattr(path, "build_path", noting(path.build_path, asked))
    made: list[object] = []
    monkeypatch.setattr(x509.Extension, "__init__", noting(x509.Extension.__init__, made))
    error = refuse(der_of(*chain), pki().trust)
    assert asked == []
    assert error.fault is Fault.BAD_CERTIFICATE
    assert "32768 are accepted, not counting the text of DNS names" in str(error)
    explained(der_of(*chain), pki().trust)
    assert len(made) < 30


def test_two_thousand_dns_names_are_accepted() -> None:
    names = [f"www.customer-{number:04}.example.com" for number in range(2_000)]
    chain = below(Leaf(["localhost", *names]))
    assert len(chain[0]) > 60_000
    assert verify_server_chain(chain, pki().trust, "localhost", now()).verified
    assert verify_server_chain(chain, pki().trust, names[-1], now()).verified


class TestAnAcceptedLeaf:
    """Beside it, any certificates may be sent, whose names are read before the chain is accepted:
    30 KB of them in each of three cost 23 ms.
    """

    @pytest.fixture
    def made(self, monkeypatch: pytest.MonkeyPatch) -> list[object]:
        """The parts of names that are read."""
        made: list[object] = []
        whole = x509.NameAttribute.__init__
        monkeypatch.setattr(x509.NameAttribute, "__init__", noting(whole, made))
        return made

    def chain(self, *others: x509.Name) -> Sequence[bytes]:
        leaf = leaf_of(pki(), [x509.DNSName("localhost")])
        return der_of(leaf, *[authority_of(other, long_name(1)) for other in others])

    def test_the_names_of_all_certificates_together_have_a_bound(self, made: list[object]) -> None:
        chain = self.chain(*[long_name(2_500, str(number)) for number in range(3)])
        made.clear()
        error = refuse(chain, pki().trust)
        assert error.fault is Fault.BAD_CERTIFICATE
        assert "the issuers and subjects of 4 certificates take more than 32768 bytes" in str(error)
        assert len(made) < 2_700
        made.clear()
        explained(chain, pki().trust)
        assert len(made) < 2 * 2_700

    def test_a_name_that_comes_again_is_read_once(self, made: list[object]) -> None:
        chain = self.chain(*[long_name(2_500)] * 3)
        made.clear()
        assert verify_server_chain(chain, pki().trust, "localhost", now()).verified
        assert len(made) < 2_700


class TestLongNames:
    """A subject of 24 KB, and 140 issuers of one name that an authority signed."""

    number = 2_000

    def chain(self, issuers: int = 0, *, keys: int = 1, signed: bool = True) -> Sequence[bytes]:
        """Issued by the root, or by the first of so many that it signed; or only in their name."""
        names = [x509.DNSName("localhost")]
        if not issuers:
            return der_of(leaf_of(pki(), names, long_name(self.number)))
        root = pki()
        own = [key_of_type("ecdsa-p256", 100 + number) for number in range(keys)]
        above = [
            authority_certificate(
                "issuer", own[number % keys].public_key(), root.certificate.subject, root.key, now()
            )
            for number in range(issuers)
        ]
        key = own[0] if signed else key_of_type("ecdsa-p256", 99)
        by = Authority(above[0], key, (), now())
        return der_of(leaf_of(by, names, long_name(self.number)), *above)

    def test_only_what_is_told_is_written_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        (leaf,) = chain = self.chain()
        written = written_out(monkeypatch)
        text = describe(x509.load_der_x509_certificate(leaf))["subject"]
        assert len(text) == 1000
        assert text.startswith("OU=x,OU=x,")
        assert text.endswith("...")
        assert len(written) < 300
        # The decision is asked once, and the verifier's error spells the name out.
        assert explain(chain, "other.example", pki().trust, now()).to_json()
        assert len(written) < self.number + 300

    def test_a_part_of_many_values_is_written_out_no_further(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        units = [
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"{number:05}")
            for number in range(self.number)
        ]
        name = x509.Name([x509.RelativeDistinguishedName(units)])
        middle = pki().intermediate(
            extensions=[x509.NameConstraints(None, [x509.DirectoryName(name)])]
        )
        chain = der_of(leaf_of(middle, [x509.DNSName("localhost")], name), middle.certificate)
        written = written_out(monkeypatch)
        assert explain(chain, "localhost", pki().trust, now()).to_json()
        for each in chain:
            assert describe(x509.load_der_x509_certificate(each))
        assert len(written) < 500

    def test_a_walk_reads_each_subject_once_for_its_paths(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = explain(self.chain(40), "other.example", pki().trust, now())
        assert len(told.paths) > 20
        asked: list[object] = []
        monkeypatch.setattr(explanation, "subject_of", noting(subject_of, asked))
        assert told.to_json()
        assert len(asked) <= 42

    def test_issuers_of_one_key_are_tried_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        checked: list[object] = []
        check = path.is_signed_by
        for module in (path, walk):
            monkeypatch.setattr(module, "is_signed_by", noting(check, checked))
        refuse(self.chain(140, signed=False), pki().trust)
        assert len(checked) < 20

    def test_the_verifier_gets_no_more_issuers_than_can_be_tried(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given: list[int] = []
        verified = path._verified

        def noting(builder: Any, leaf: Any, others: list[Any], name: str | None) -> Any:
            given.append(len(others))
            return verified(builder, leaf, others, name)

        monkeypatch.setattr(path, "_verified", noting)
        chain = self.chain(140)
        assert verify_server_chain(chain, pki().trust, "localhost", now()).verified
        assert max(given) * len(chain[0]) <= path.MOST_SIGNED
        assert max(given) > 10

    def test_the_verifier_is_asked_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its error spells the names out."""
        asked: list[object] = []
        verified = path._verified
        monkeypatch.setattr(path, "_verified", noting(verified, asked))
        refuse(
            der_of(leaf_of(pki(), [x509.DNSName("a.example")], long_name(self.number))), pki().trust
        )
        assert len(asked) == 1


MANY: dict[str, Callable[[int], bytes]] = {
    "addresses": lambda number: tlv(0x87, number.to_bytes(4, "big")),
    "one address": lambda number: tlv(0x87, b"abcd"),
    "long addresses": lambda number: tlv(0x87, number.to_bytes(16, "big")),
    "DNS names": lambda number: tlv(0x82, b"%05d" % number),
    "one DNS name": lambda number: tlv(0x82, b"a"),
    "DNS names that are none": lambda number: tlv(0x82, b"%d a" % number),
    "mail addresses": lambda number: tlv(0x81, b"a@%d" % number),
    "directory names": lambda number: tlv(0xA4, sequence()),
    "object identifiers": lambda number: tlv(0x88, b"\x2a"),
}
"""Names of each kind, by their number."""

EVENTS_PER_NAME, EVENTS_PER_IMPROPER_NAME = 26, 42
"""Calls, lines and returns of Python for each name of a subjectAltName; up to 107 once."""

EVENTS_PER_CERTIFICATE: dict[Callable[[Sequence[bytes], TrustStore], object], int] = {
    refuse: 350,
    explained: 620,
}
"""The same for each certificate of a chain."""


def leaf_with(alternatives: bytes, purpose: x509.ObjectIdentifier = SERVER) -> x509.Certificate:
    """A leaf of the trusted authority, with a subjectAltName that is given as DER."""
    names = x509.UnrecognizedExtension(x509.ObjectIdentifier(SAN), alternatives)
    builder = (
        x509.CertificateBuilder()
        .subject_name(long_name(1))
        .issuer_name(pki().certificate.subject)
        .public_key(KEY.public_key())
        .serial_number(7)
        .not_valid_before(now() - DAY)
        .not_valid_after(now() + DAY)
        .add_extension(names, critical=False)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(pki().key.public_key()),
            critical=False,
        )
    )
    return sign(builder, pki().key)


@pytest.mark.parametrize("keys", [(), ("key_usage", "policies", "must_staple")])
def test_extensions_that_cannot_be_read_are_tried_once_for_all_fields(keys: Sequence[str]) -> None:
    """120 KB of addresses before one that is none: cryptography reads them anew for each field."""
    number = 20_000
    entries = b"".join(MANY["addresses"](index) for index in range(number)) + tlv(0x87, b"?")
    leaf = leaf_with(sequence(entries))
    once = work_of(lambda: read_or_none(lambda: leaf.extensions))
    assert once > number

    def tell() -> None:
        told = described(leaf, *keys) if keys else describe(leaf)
        assert all(told[key] is None for key in keys or ("names", "is_authority", "timestamps"))

    tell()
    assert work_of(tell) < 1.1 * once


class TestManyCertificates:
    """300 small certificates of two authorities, which took 40 ms to refuse."""

    @pytest.mark.parametrize("way", [refuse, explained], ids=lambda way: way.__name__)
    def test_so_much_work_for_each(
        self, way: Callable[[Sequence[bytes], TrustStore], object]
    ) -> None:
        trust = pki().trust.prepare()
        middle = pki().intermediate()
        leaf = middle.issue(Leaf(("other.example",)), KEY.public_key())
        keys = [key_of_type("ecdsa-p256", 90 + number) for number in range(10)]
        name = middle.certificate.subject
        issuers = [authority_of(name, pki().certificate.subject, key) for key in keys]
        chain = der_of(leaf, middle.certificate, *issuers * 30)
        assert len(chain) > 300
        way(chain, trust)
        most = EVENTS_PER_CERTIFICATE[way] * len(chain)
        assert work_of(lambda: way(chain, trust)) < most


class TestManyNames:
    """A leaf with as many names as are accepted: 20,000 addresses took 60 ms to refuse."""

    number = 5_000

    @pytest.mark.parametrize("place", ["leaf", "leaf without a subject", "issuer"])
    @pytest.mark.parametrize("verify", ["server", "client"])
    def test_a_stranger_s_are_not_read(self, place: str, verify: str) -> None:
        trust = pki().trust.prepare()
        stranger = Pki("stranger")
        excluded = x509.NameConstraints(None, [x509.IPAddress(IPv4Network("1.2.3.4"))] * 2_500)
        middle = stranger.intermediate(extensions=[excluded] if place == "issuer" else [])
        names = addresses(2 if place == "issuer" else self.number)
        subject = long_name(0 if "without" in place else 1)
        leaf = leaf_of(middle, names, subject)
        chain = der_of(leaf, middle.certificate)

        def refused() -> CertificateError:
            with pytest.raises(CertificateError) as caught:
                if verify == "server":
                    verify_server_chain(chain, trust, "localhost", now())
                else:
                    verify_client_chain(chain, trust, now())
            return caught.value

        assert refused().fault in (
            Fault.CERTIFICATE_UNTRUSTED,
            Fault.CERTIFICATE_NAME_MISMATCH,
        )
        assert work_of(refused) < 5_200

    @pytest.mark.parametrize("steps", [1, 2])
    def test_those_that_an_authority_signed_are_judged(self, steps: int) -> None:
        middle = pki().intermediate()
        leaf = leaf_of(pki() if steps == 1 else middle, addresses(self.number))
        error = refuse(der_of(leaf, middle.certificate), pki().trust)
        assert error.fault is Fault.CERTIFICATE_NAME_MISMATCH
        assert "0.0.0.0, 0.0.0.1, 0.0.0.2, 0.0.0.3, 0.0.0.4 and 4995 more" in str(error)

    @pytest.mark.parametrize("entry", MANY)
    @pytest.mark.parametrize("name", ["localhost", "9.9.9.9"])
    def test_those_that_an_authority_signed_are_compared_and_counted_as_they_stand(
        self, entry: str, name: str
    ) -> None:
        """30 KB of names of one kind, of which 120 KB took up to 200 ms."""
        make = MANY[entry]
        number = 30_000 // len(make(9999))
        entries = b"".join(map(make, range(number)))
        trust, chain = pki().trust.prepare(), der_of(leaf_with(sequence(entries)))

        def refused() -> CertificateError:
            with pytest.raises(CertificateError) as caught:
                verify_server_chain(chain, trust, name, now())
            return caught.value

        error = refused()
        assert error.fault is Fault.CERTIFICATE_NAME_MISMATCH
        assert f"for {name}" in str(error)
        most = EVENTS_PER_IMPROPER_NAME if "none" in entry else EVENTS_PER_NAME
        assert work_of(refused) < most * number + 5_200

    def test_a_name_that_is_there_is_found_among_them(self) -> None:
        """It is another rule then that the certificate breaks."""
        entries = b"".join(map(MANY["addresses"], range(self.number))) + b"\x82\x09LOCALHOST"
        leaf = leaf_with(sequence(entries), purpose=CLIENT)
        for name in ("localhost", "0.0.1.0"):
            with pytest.raises(CertificateError) as caught:
                verify_server_chain(der_of(leaf), pki().trust, name, now())
            assert caught.value.fault is Fault.CERTIFICATE_WRONG_PURPOSE

    def test_only_those_that_are_told_are_written_out(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written: list[IPv4Address] = []
        whole = IPv4Address.__str__

        def noting_one(self: IPv4Address) -> str:
            written.append(self)
            return whole(self)

        monkeypatch.setattr(IPv4Address, "__str__", noting_one)
        chain = der_of(leaf_of(pki(), [*addresses(self.number), x509.DNSName("localhost")]))
        for name in ("localhost", "0.0.1.0"):
            assert explain(chain, name, pki().trust, now()).accepted
        for name in ("other.example", "1.2.3.4"):
            assert not explain(chain, name, pki().trust, now()).accepted
        assert identity.names_of(x509.load_der_x509_certificate(chain[0])).endswith("more")
        assert len(written) < 100
