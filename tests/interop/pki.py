"""Certificates for the conversations: one CA and a leaf per signature algorithm, made afresh."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PASSWORD = "interop"
CLIENT_NAME = "interop client"
SERVER_NAME = "localhost"

# The keys by the SignatureScheme family which a TLS 1.3 peer must sign with.
KEYS = {
    "ecdsa_secp256r1_sha256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ecdsa_secp384r1_sha384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ecdsa_secp521r1_sha512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "rsa_pss_rsae": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
    "mldsa44": mldsa.MLDSA44PrivateKey.generate,
    "mldsa65": mldsa.MLDSA65PrivateKey.generate,
    "mldsa87": mldsa.MLDSA87PrivateKey.generate,
}
SIGNATURES = (*KEYS, "rsa_pss_pss")


@dataclass(frozen=True)
class Identity:
    """A leaf with its chain and key as PEM files, and all of it as PKCS #12 for those who ask."""

    name: str
    chain: Path
    key: Path

    @cached_property
    def pkcs12(self) -> Path:
        path = self.chain.with_suffix(".p12")
        if not path.exists():
            key = serialization.load_pem_private_key(self.key.read_bytes(), None)
            leaf, *rest = x509.load_pem_x509_certificates(self.chain.read_bytes())
            try:
                path.write_bytes(
                    pkcs12.serialize_key_and_certificates(
                        self.name.encode(),
                        key,  # type: ignore[arg-type]
                        leaf,
                        rest,
                        serialization.BestAvailableEncryption(PASSWORD.encode()),
                    )
                )
            except (TypeError, ValueError):
                path.write_bytes(b"")  # PKCS #12 has no form for this key (ML-DSA)
        return path

    @cached_property
    def key_digest(self) -> str:
        """SHA-256 of the SubjectPublicKeyInfo, in hexadecimal."""
        return hashlib.sha256(self.public_key).hexdigest()

    @cached_property
    def public_key(self) -> bytes:
        """The SubjectPublicKeyInfo as DER."""
        key = serialization.load_pem_private_key(self.key.read_bytes(), None)
        return key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )


class Authority:
    """A CA in a directory; leaves are made when first asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "interop test CA")])
        self.path = directory / "ca.pem"
        self.certificate = self._root()
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        self._made: dict[str, Identity] = {}

    def server(self, signature: str = "ecdsa_secp256r1_sha256") -> Identity:
        """A leaf for localhost and 127.0.0.1 whose key signs with `signature`."""
        if signature not in self._made:
            if signature == "rsa_pss_pss":
                made = self._rsa_pss_leaf()
            else:
                made = self._leaf(signature, KEYS[signature](), SERVER_NAME, server=True)
            self._made[signature] = made
        return self._made[signature]

    def staple(self, identity: Identity | None) -> Path:
        """The OCSP response for a leaf of this authority: it is good."""
        assert identity is not None
        path = identity.chain.with_suffix(".ocsp")
        leaf = x509.load_pem_x509_certificates(identity.chain.read_bytes())[0]
        now = datetime.datetime.now(datetime.UTC)
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=leaf,
                issuer=self.certificate,
                algorithm=hashes.SHA1(),
                cert_status=ocsp.OCSPCertStatus.GOOD,
                this_update=now - datetime.timedelta(hours=1),
                next_update=now + datetime.timedelta(days=1),
                revocation_time=None,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self.certificate)
            .sign(self.key, hashes.SHA256())
        )
        path.write_bytes(response.public_bytes(serialization.Encoding.DER))
        return path

    def client(self) -> Identity:
        if "client" not in self._made:
            key = ec.generate_private_key(ec.SECP256R1())
            self._made["client"] = self._leaf("client", key, CLIENT_NAME, server=False)
        return self._made["client"]

    def _root(self) -> x509.Certificate:
        public = self.key.public_key()
        return (
            self._builder(self.name, public)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(sign_certificates=True), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def _leaf(self, file_name: str, key: object, name: str, *, server: bool) -> Identity:
        public = key.public_key()  # type: ignore[attr-defined]
        leaf = self._leaf_builder(public, name, server=server).sign(self.key, hashes.SHA256())
        pem = key.private_bytes(  # type: ignore[attr-defined]
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return self._store(file_name, leaf, pem)

    def _rsa_pss_leaf(self) -> Identity:
        """A key restricted to PSS (RFC 4055 id-RSASSA-PSS). cryptography cannot write one, so
        the openssl command makes key and certificate."""
        openssl = shutil.which("openssl")
        if openssl is None:
            raise LookupError("openssl is not installed: no id-RSASSA-PSS key")
        key_path = self.directory / "rsa_pss_pss.key"
        base = self.directory / "rsa_pss_pss.csr"
        config = self.directory / "rsa_pss_pss.cnf"
        config.write_text(
            "[v3]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
            "extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n"
        )
        ca_key = self.directory / "ca.key"
        ca_key.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        leaf_path = self.directory / "rsa_pss_pss.leaf"
        serial = str(x509.random_serial_number())
        for command in (
            f"genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out {key_path}",
            f"req -new -key {key_path} -subj /CN=localhost -out {base}",
            f"x509 -req -in {base} -CA {self.path} -CAkey {ca_key} -sha256 -days 30"
            f" -extfile {config} -extensions v3 -set_serial {serial} -out {leaf_path}",
        ):
            subprocess.run([openssl, *command.split()], check=True, capture_output=True)
        leaf = x509.load_pem_x509_certificate(leaf_path.read_bytes())
        identity = self._store("rsa_pss_pss", leaf, key_path.read_bytes())
        command = (
            f"pkcs12 -export -inkey {key_path} -in {identity.chain} -name rsa_pss_pss"
            f" -passout pass:{PASSWORD} -out {identity.chain.with_suffix('.p12')}"
        )
        subprocess.run([openssl, *command.split()], check=True, capture_output=True)
        return identity

    def _store(self, file_name: str, leaf: x509.Certificate, key_pem: bytes) -> Identity:
        chain, key = self.directory / f"{file_name}.pem", self.directory / f"{file_name}.key"
        chain.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        key.write_bytes(key_pem)
        key.chmod(0o600)
        return Identity(file_name, chain, key)

    def _leaf_builder(self, public: object, name: str, *, server: bool) -> x509.CertificateBuilder:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        # TLS 1.3 only signs, but NSS asks this of every server's RSA key.
        encipher = isinstance(public, rsa.RSAPublicKey)
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        names: list[x509.GeneralName] = [x509.DNSName("client.invalid")]
        if server:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            names = [x509.DNSName(SERVER_NAME), address]
        return (
            self._builder(subject, public)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(encipher_keys=encipher), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )

    def _builder(self, subject: x509.Name, public: object) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public)  # type: ignore[arg-type]
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(public),  # type: ignore[arg-type]
                critical=False,
            )
        )


def _key_usage(*, sign_certificates: bool = False, encipher_keys: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=encipher_keys,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
