"""Trust stores: where anchors come from, and what is an error where."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from tests.pki import Pki, der_of, pem_of

from handclasp.certificates.trust import TrustStore

BROKEN = b"-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"


def test_from_pem(pki: Pki, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(b"a comment\n" + pki.ca_pem)
    for store in (TrustStore.from_pem(path), TrustStore.from_pem(str(path))):
        assert store.anchors == {pki.certificate}
        assert store.subjects() == (pki.certificate.subject.public_bytes(),)
        assert str(path) in repr(store)
    assert TrustStore.from_pem(pki.ca_pem).anchors == {pki.certificate}


def test_cannot_be_changed(pki: Pki) -> None:
    for name in ("source", "anchors", "vetted", "store", "remembered", "fingerprint"):
        with pytest.raises(AttributeError):
            setattr(pki.trust, name, None)


def test_an_anchor_is_written_as_der_once(pki: Pki) -> None:
    store = TrustStore.from_certificates([pki.certificate])
    (anchor,) = store.anchors
    der = store.anchor_der(anchor)
    assert der == der_of(pki.certificate)[0]
    assert store.anchor_der(anchor) is der


def test_no_more_are_written_and_kept_than_there_are_anchors(pki: Pki) -> None:
    store = TrustStore.from_certificates([pki.certificate])
    (anchor,) = store.anchors
    der, other = store.anchor_der(anchor), Pki("other").certificate
    first, second = store.anchor_der(other), store.anchor_der(other)
    assert first == second == der_of(other)[0]
    assert first is not second
    assert store.anchor_der(anchor) is der


def test_fingerprint_names_the_set() -> None:
    one, two = Pki("one").certificate, Pki("two").certificate
    together = TrustStore.from_pem(pem_of(one, two))
    assert together.fingerprint == TrustStore.from_certificates([two, one, two]).fingerprint
    assert together.fingerprint != TrustStore.from_certificates([one]).fingerprint
    (der,) = der_of(one)
    expected = hashlib.sha256(hashlib.sha256(der).digest()).digest()
    assert TrustStore.from_certificates([one]).fingerprint == expected


def test_with_added_leaves_the_first_alone(pki: Pki) -> None:
    other = Pki("another")
    for more in (other.trust, other.ca_pem):
        both = pki.trust.with_added(more)
        assert both.anchors == {pki.certificate, other.certificate}
        assert pki.trust.anchors == {pki.certificate}
        assert both.remembered is not pki.trust.remembered


def test_what_is_prepared_is_not_loaded_later(pki: Pki) -> None:
    program = (
        "import sys; from handclasp import TrustStore; "
        "store = TrustStore.from_pem(sys.stdin.buffer.read()); "
        "assert 'handclasp.certificates.decision' not in sys.modules; "
        "assert store.prepare() is store; "
        "before = set(sys.modules); store.store; import handclasp.certificates.decision; "
        "assert set(sys.modules) == before"
    )
    subprocess.run([sys.executable, "-c", program], input=pki.ca_pem, check=True, timeout=60)
