"""What `get_extra_info` tells in the words of `ssl`, against what `ssl` itself tells."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from tests.adapters.streams import close, echo, open_local, run, serving
from tests.pki import Pki

from handclasp.adapters.extra import openssl_name
from handclasp.adapters.peercert import as_dict
from handclasp.config import ClientAuth, ClientConfig, ServerConfig
from handclasp.crypto.suites import CIPHER_SUITES12

TIME = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


def certificate(*extensions: x509.ExtensionType, serial: int = 0x0ABC) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.RelativeDistinguishedName(
                [
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Exämple"),
                    x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Unit"),
                ]
            ),
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "AT")]),
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")]),
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@b.c")]),
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "org")]),
        ]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")]))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(TIME)
        .not_valid_after(TIME + datetime.timedelta(days=365))
    )
    for each in extensions:
        builder = builder.add_extension(each, critical=False)
    return builder.sign(key, hashes.SHA256())


def uri(text: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(text)


@pytest.mark.parametrize(
    "given",
    [
        certificate(),
        certificate(serial=0x1234567890ABCDEF1234),
        certificate(
            x509.SubjectAlternativeName(
                [
                    x509.DNSName("example.com"),
                    x509.DNSName("*.example.com"),
                    x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
                    x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
                    x509.RFC822Name("a@example.com"),
                    uri("https://example.com/"),
                    x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4")),
                    x509.DirectoryName(
                        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "inside")])
                    ),
                ]
            ),
            x509.AuthorityInformationAccess(
                [
                    x509.AccessDescription(
                        AuthorityInformationAccessOID.OCSP, uri("http://ocsp.example.com")
                    ),
                    x509.AccessDescription(
                        AuthorityInformationAccessOID.CA_ISSUERS, uri("http://ca.example.com/ca")
                    ),
                ]
            ),
            x509.CRLDistributionPoints(
                [x509.DistributionPoint([uri("http://crl.example.com")], None, None, None)]
            ),
        ),
    ],
)
def test_a_certificate_as_a_dict(given: x509.Certificate, tmp_path: Path) -> None:
    file = tmp_path / "certificate.pem"
    file.write_bytes(given.public_bytes(Encoding.PEM))
    decode: Any = ssl._ssl._test_decode_cert  # type: ignore[attr-defined]
    assert as_dict(given) == decode(str(file))


def test_openssl_names() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:@SECLEVEL=0")
    known = {each["name"] for each in context.get_ciphers()}
    assert {openssl_name(name) for name in CIPHER_SUITES12} <= known


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
def test_the_cipher_as_openssl_names_it(
    client_config: ClientConfig, ssl_server: ssl.SSLContext, version: str
) -> None:
    seen: list[Any] = []

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("cipher"))
        await close(writer)

    async def main() -> None:
        config = ClientConfig(trust=client_config.trust, versions=[version])
        async with await asyncio.start_server(tell, "127.0.0.1", 0, ssl=ssl_server) as server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await open_local(port, config, server_name="localhost")
            await reader.read()
            seen.append(writer.get_extra_info("cipher"))
            await close(writer)
        assert seen[0] == seen[1]

    run(main())


def test_a_server_tells_of_its_client(pki: Pki) -> None:
    seen: dict[str, Any] = {}

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        view = writer.get_extra_info("ssl_object")
        seen["server"] = view, writer.get_extra_info("peercert")
        await echo(reader, writer)

    async def main() -> None:
        settings: dict[str, Any] = {"trust": pki.trust, "alpn": ["x"]}
        server = ServerConfig(
            credentials=pki.server("127.0.0.1"), client_auth=ClientAuth.OPTIONAL, **settings
        )
        async with serving(tell, server) as port:
            config = ClientConfig(credentials=pki.client(), **settings)
            reader, writer = await open_local(port, config)
            writer.write(b"x")
            await reader.readexactly(1)
            view = writer.get_extra_info("ssl_object")
            theirs, certificate = seen["server"]
            assert theirs.server_side
            assert not view.server_side
            assert view.selected_alpn_protocol() == theirs.selected_alpn_protocol() == "x"
            assert certificate["issuer"] == ((("commonName", "test root"),),)
            assert theirs.getpeercert(True) == pki_chain(view)
            assert view.get_channel_binding("tls-exporter") == theirs.get_channel_binding(
                "tls-exporter"
            )
            assert view.get_unverified_chain()[0] == view.getpeercert(binary_form=True)
            assert view.get_verified_chain()[0] == view.getpeercert(binary_form=True)
            with pytest.raises(ValueError, match="not implemented"):
                view.get_channel_binding("tls-nothing")
            await close(writer)

    run(main())


def pki_chain(view: Any) -> bytes:
    """What the client showed, as its own side knows it."""
    chain: tuple[bytes, ...] = view._info.local_chain_der
    return chain[0]


def test_a_peer_that_nobody_verified_has_no_fields(pki: Pki, server_config: ServerConfig) -> None:
    async def main() -> None:
        async with serving(echo, server_config) as port:
            _, writer = await open_local(port, ClientConfig(verify_peer=False))
            assert writer.get_extra_info("peercert") == {}
            assert writer.get_extra_info("ssl_object").getpeercert(True)
            await close(writer)

    run(main())


def test_before_the_handshake_there_is_nothing_to_tell(server_config: ServerConfig) -> None:
    told: list[Any] = []

    def note(error: Exception, transport: asyncio.BaseTransport) -> None:
        names = ("cipher", "compression", "peercert", "ssl_object", "sslcontext")
        told.extend(transport.get_extra_info(name, 7) for name in names)

    async def main() -> None:
        async with serving(echo, server_config, on_handshake_error=note) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            await reader.read()
            await close(writer)
        assert told == [7] * 5

    run(main())
