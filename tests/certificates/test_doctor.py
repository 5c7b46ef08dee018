"""The chain that should be sent: order, what is not needed, and what is missing."""

from __future__ import annotations

import itertools

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from tests.pki import Authority, Leaf, Pki, key_of_type, self_signed

from handclasp.certificates.doctor import MOST_CERTIFICATES, MendedChain, mend

URL = "http://ca.example/issuer.cer"
KEY = key_of_type("ecdsa-p256")


def issued_at(*urls: str) -> x509.AuthorityInformationAccess:
    kind = AuthorityInformationAccessOID.CA_ISSUERS
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(kind, x509.UniformResourceIdentifier(url)) for url in urls]
    )


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="module")
def lower(pki: Pki) -> Authority:
    """The second of two intermediate authorities."""
    return pki.intermediate("upper", path_length=1).intermediate("lower")


@pytest.fixture(scope="module")
def chain(lower: Authority) -> list[x509.Certificate]:
    leaf = lower.issue(Leaf(["example.com"]), KEY.public_key())
    return [leaf, *lower.path]


def whys(mended: MendedChain) -> list[str]:
    return [each.why.split(",")[0] for each in mended.dropped]


def test_a_good_chain_stays_as_it_is(pki: Pki, chain: list[x509.Certificate]) -> None:
    mended = mend(chain, pki.trust)
    assert list(mended.chain) == chain
    assert not mended.is_changed
    assert mended.findings() == []


def test_every_order_is_put_right(pki: Pki, chain: list[x509.Certificate]) -> None:
    for order in itertools.permutations([*chain, pki.certificate]):
        mended = mend(order, pki.trust)
        assert list(mended.chain) == chain
        assert whys(mended) == ["it is the root"]
        expected = [each for each in order if each in chain] != chain
        assert mended.is_reordered is expected
        assert order[mended.leaf_came_as] == chain[0]
        assert ("which is number" in mended.findings()[0]) is (order[0] != chain[0])


def test_what_is_not_needed_is_dropped(pki: Pki, chain: list[x509.Certificate]) -> None:
    stranger = Pki().intermediate("stranger").certificate
    mended = mend([chain[0], stranger, *chain, pki.certificate], pki.trust)
    assert list(mended.chain) == chain
    assert whys(mended) == [
        "it has issued no certificate of the chain",
        "it is there twice",
        "it is the root",
    ]
    assert any("CN=stranger" in sentence for sentence in mended.findings())


@pytest.mark.parametrize("kept", [1, 2])
def test_what_is_missing_is_named(pki: Pki, chain: list[x509.Certificate], kept: int) -> None:
    mended = mend(chain[:kept], pki.trust)
    assert mended.missing is not None
    assert mended.missing.subject == ("CN=lower" if kept == 1 else "CN=upper")
    assert mended.missing.urls == ()
    (told,) = mended.findings()
    assert "and not if it is a root, which the client has to have itself." in told
    (told,) = mended.findings("the server")
    assert "and not if it is a root, which the server has to have itself." in told


def test_the_place_of_the_missing_one_is_named(pki: Pki, lower: Authority) -> None:
    extra = issued_at("ldap://ca.example/x", URL)
    leaf = lower.issue(Leaf(["example.com"]), KEY.public_key(), extra)
    mended = mend([leaf], pki.trust)
    assert mended.missing is not None
    assert mended.missing.urls == (URL,)
    assert URL in mended.findings()[0]


def test_without_trust_only_a_root_completes(pki: Pki, chain: list[x509.Certificate]) -> None:
    assert mend(chain).missing is not None
    assert mend([*chain, pki.certificate]).missing is None


def test_an_anchor_in_the_middle_completes(lower: Authority, chain: list[x509.Certificate]) -> None:
    assert mend(chain[:1], lower.trust).missing is None
    assert mend(chain[:2], lower.trust).missing is None


def test_a_certificate_of_the_right_name_and_another_key_is_no_issuer(
    pki: Pki, lower: Authority, chain: list[x509.Certificate]
) -> None:
    namesake = Pki().intermediate("lower").certificate
    mended = mend([chain[0], namesake], pki.trust)
    assert list(mended.chain) == chain[:1]
    assert mended.missing is not None


def test_a_self_signed_certificate_is_its_own_chain() -> None:
    alone, _ = self_signed()
    mended = mend([alone])
    assert mended.chain == (alone,)
    assert mended.missing is None
    assert not mended.is_changed


def test_authorities_alone(lower: Authority, pki: Pki) -> None:
    mended = mend([pki.certificate, *reversed(lower.path)], pki.trust)
    assert list(mended.chain) == list(lower.path)
    assert mended.missing is None
    assert not mended.is_complete


def test_an_intermediate_alone_is_no_chain_of_a_server(lower: Authority) -> None:
    mended = mend([lower.certificate], lower.trust)
    assert not mended.has_leaf
    assert not mended.is_complete
    [sentence] = mended.findings()
    assert "own certificate is not there: CN=lower is that of an authority" in sentence


def test_whose_chain_it_is(pki: Pki, lower: Authority) -> None:
    """The end is named by its certificate's purposes, unless the caller knows better."""
    both = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    for purpose, end in (
        (both, "server"),
        (both[0], "client"),
        (both[1], "server"),
        (None, "server"),
    ):
        leaf = lower.issue(Leaf(["example.com"], purpose=purpose), KEY.public_key())
        mended = mend([*lower.path, leaf], pki.trust)
        of_roles = mended.findings(), mended.findings(role="client"), mended.findings(role="server")
        for [sentence], named in zip(of_roles, (end, "client", "server"), strict=True):
            assert f"the {named}'s own one, example.com, which is" in sentence
    [alone] = mend([lower.certificate], lower.trust).findings(role="client")
    assert alone.startswith("The client's own certificate is not there: ")


def test_a_root_alone_is_no_chain_of_a_server_either(pki: Pki) -> None:
    assert not mend([pki.certificate], pki.trust).has_leaf


@pytest.mark.parametrize("named", ["itself", "another", ""])
def test_a_certificate_may_show_that_its_issuer_is_a_root(pki: Pki, named: str) -> None:
    root = pki.certificate
    name = root.subject if named == "itself" else x509.Name.from_rfc4514_string("CN=another")
    names = [x509.DirectoryName(name)] if named else None
    identifier = x509.AuthorityKeyIdentifier(b"id", names, root.serial_number if names else None)
    plain = Leaf(["example.com"], authority_identifier=False)
    leaf = pki.issue(plain, KEY.public_key(), identifier)
    assert mend([leaf]).is_complete is (named == "itself")


def test_many_certificates_cost_a_bounded_number_of_signatures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from handclasp.certificates import doctor

    checks = [0]

    def count(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        checks[0] += 1
        return False

    monkeypatch.setattr(doctor, "is_signed_by", count)
    pki = Pki()
    upper = pki.intermediate("same")
    many = [upper.issue(Leaf([f"{n}.example"]), KEY.public_key()) for n in range(8)]
    issuers = [pki.intermediate("same").certificate for _ in range(MOST_CERTIFICATES)]
    mended = mend([*many, *issuers])
    assert checks[0] <= doctor.MOST_SIGNATURE_CHECKS
    assert any("more than" in each.why for each in mended.dropped)
