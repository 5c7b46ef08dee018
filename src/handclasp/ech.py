"""Configurations and keys for Encrypted Client Hello (RFC 9849), for both ends.

A server generates an `EchKey`, keeps its private key, and publishes its configurations, mostly in
the HTTPS records of its names (RFC 9848). A client that has them encrypts its hello.

>>> key = EchKey.generate("public.example")
>>> server = ServerConfig(credentials=Credentials.load("chain.pem", "key.pem"), ech=[key])
>>> client = ClientConfig(ech=EchConfigList(key.configs))

docs/ech.md tells what this hides, and what it does not.
"""

from __future__ import annotations

import base64
import binascii
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar, cast, overload

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from handclasp.certificates.key_files import warn_if_exposed
from handclasp.certificates.loading import read_source
from handclasp.certificates.names import host_problem, ip_address, normal_name
from handclasp.certificates.pem import PemBlock, pem_blocks
from handclasp.certificates.reloading import ReloadingFiles
from handclasp.crypto.groups import BadShare, PrivateShare, share_of
from handclasp.crypto.hpke import KEMS, SUITES, SymmetricSuite
from handclasp.errors import ConfigurationError, ProtocolError, check_switch, shown
from handclasp.faults import Blame, Fault, Verdict, advice
from handclasp.iana import HPKE_AEAD_NAMES, HPKE_KDF_NAMES, HpkeKem
from handclasp.synchronous import is_coroutine
from handclasp.values import dataclass, field
from handclasp.wire.ech import (
    ECH_VERSION,
    EchConfig,
    make_ech_config,
    read_ech_config_list,
    write_ech_config_list,
)
from handclasp.wording import LONGEST, printable

_MOST_OF_A_FILE = 1 << 20
"""Bytes of a file with a key and configurations: ten times the longest ECHConfigList in Base64."""
_KEMS_BY_NAME = {
    "X25519": HpkeKem.DHKEM_X25519_HKDF_SHA256,
    "P-256": HpkeKem.DHKEM_P256_HKDF_SHA256,
}
_T = TypeVar("_T")
_LONGEST_LABEL = 63
_LONGEST_NAME = 255

_MOST_LIST_BYTES = 2**16 - 1
"""The configurations that an ECHConfigList has room for (RFC 9849 section 4)."""

_MOST_RETRY_BYTES = 2**14 - 2**10
"""The configurations that a server sends as retry_configs.

They are part of EncryptedExtensions, which BoringSSL takes up to 16 KiB and OpenSSL up to 20,000
bytes; the rest is for the other extensions.
"""

DEFAULT_NAME_LENGTH = 64
"""The maximum_name_length of new keys: clients pad shorter server names to it."""


class EchConfigList(Sequence[EchConfig]):
    """The configurations of a server, best first (ECHConfigList, RFC 9849 section 4).

    >>> key = EchKey.generate("public.example")
    >>> configs = EchConfigList(key.configs)
    >>> EchConfigList.from_base64(configs.to_base64()) == configs
    True
    """

    __slots__ = ("_configs", "_problems")

    def __init__(self, configs: Iterable[EchConfig]) -> None:
        self._configs = _tuple_of(configs, "An EchConfigList is made of configurations")
        if not self._configs:
            raise ConfigurationError("A list of ECH configurations is empty.")
        for config in self._configs:
            if not isinstance(config, EchConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigurationError(f"An ECH configuration is not {shown(config)}.")
        _check_list_size(self._configs)
        self._problems = tuple(map(_why_unusable, self._configs))

    @classmethod
    def from_bytes(cls, data: bytes) -> EchConfigList:
        """Read an ECHConfigList as it stands in the `ech` parameter of an HTTPS record (RFC 9848).

        Raises:
            ConfigurationError: it is malformed.
        """
        if not isinstance(data, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"An ECHConfigList is bytes, not {shown(data)}.")
        try:
            return cls(read_ech_config_list(data))
        except ProtocolError as error:
            raise ConfigurationError(f"This is no ECHConfigList: {error.detail}.") from None

    @classmethod
    def from_base64(cls, text: str) -> EchConfigList:
        """Read an ECHConfigList in Base64, as tools print HTTPS records.

        Raises:
            ConfigurationError: it is malformed.
        """
        try:
            data = base64.b64decode("".join(text.split()), validate=True)
        except (ValueError, AttributeError, TypeError):
            raise ConfigurationError("An ECHConfigList in Base64 cannot be decoded.") from None
        return cls.from_bytes(data)

    @classmethod
    def load(cls, source: str | os.PathLike[str] | bytes) -> EchConfigList:
        """Read the PEM file of `EchKey.to_pem`, of `to_pem`, or of `openssl ech` (RFC 9934).

        Args:
            source: a path, or the content of the file as bytes. A private key in it is ignored.

        Raises:
            ConfigurationError: it cannot be read, or holds no ECHCONFIG.
        """
        data, named = read_source(source, "ECH configuration", most=_MOST_OF_A_FILE)
        return _configs_in(data, named)

    @property
    def usable(self) -> EchConfig | None:
        """The first configuration that this library can use, or None (RFC 9849 section 6.1)."""
        usable = (each for each, why in zip(self._configs, self._problems, strict=True) if not why)
        return next(usable, None)

    def problems(self) -> tuple[str, ...]:
        """Return why each configuration cannot be used, in their order; empty for those that can.

        RFC 9849 sections 4.2, 6.1 and 6.1.7 have the rules.
        """
        return self._problems

    def to_bytes(self) -> bytes:
        """Return the ECHConfigList as it stands in an HTTPS record."""
        return write_ech_config_list(self._configs)

    def to_base64(self) -> str:
        """Return the ECHConfigList in Base64, for the `ech` parameter in a zone file."""
        return base64.b64encode(self.to_bytes()).decode("ascii")

    def to_pem(self) -> bytes:
        """Return the configurations in PEM (RFC 9934)."""
        return _pem("ECHCONFIG", self.to_bytes())

    @overload
    def __getitem__(self, index: int) -> EchConfig: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[EchConfig, ...]: ...
    def __getitem__(self, index: int | slice) -> EchConfig | tuple[EchConfig, ...]:
        return self._configs[index]

    def __len__(self) -> int:
        return len(self._configs)

    def __iter__(self) -> Iterator[EchConfig]:
        return iter(self._configs)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, EchConfigList):
            return self._configs == other._configs
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._configs)

    def __repr__(self) -> str:
        return f"EchConfigList({list(self._configs)!r})"


@dataclass(frozen=True, slots=True)
class EchKey:
    """A server's private key for Encrypted Client Hello, and what it publishes of it.

    >>> key = EchKey.generate("public.example")
    >>> from handclasp.private_files import write_private
    >>> write_private("ech.pem", key.to_pem())
    >>> EchKey.load("ech.pem").configs == key.configs
    True

    Attributes:
        private_key: for X25519 or P-256. It is never printed.
        configs: the configurations with its public key.
        send_as_retry: whether clients that use another configuration get these. Switch it off for
            old keys, which clients should not get any more.

    Raises:
        ConfigurationError: the key is of another type, or a configuration is not one of this key
            that clients can use.
    """

    private_key: X25519PrivateKey | EllipticCurvePrivateKey = field(repr=False, compare=False)
    configs: tuple[EchConfig, ...]
    send_as_retry: bool = True
    _share: object = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = _tuple_of(self.configs, "configs of an EchKey must be a tuple")
        object.__setattr__(self, "configs", given)
        check_switch("send_as_retry", self.send_as_retry)
        kem = _kem_of(self.private_key)
        share = share_of(self.private_key)
        object.__setattr__(self, "_share", share)
        if not self.configs:
            raise ConfigurationError("An ECH key needs a configuration.")
        for config in self.configs:
            if not isinstance(config, EchConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigurationError(f"An ECH configuration is not {shown(config)}.")
            if config.kem != kem or config.public_key != share.share:
                raise ConfigurationError("This ECH configuration has another public key.")
            if why := _why_unusable(config):
                raise ConfigurationError(f"Clients cannot use this ECH configuration: {why}.")
        _check_list_size(self.configs)

    @classmethod
    def generate(
        cls,
        public_name: str,
        *,
        kem: str = "X25519",
        maximum_name_length: int = DEFAULT_NAME_LENGTH,
        avoid: Iterable[EchKey] = (),
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> EchKey:
        """Make a new key.

        Args:
            public_name: a DNS name of the server for which it has a certificate. It is the one that
                everybody can read in the hello, and should be the same for all of the server's
                names.
            kem: "X25519", which all clients have, or "P-256".
            maximum_name_length: the bytes of the longest name that is served, up to 255. Clients
                pad shorter names to it; the size of the hello may give longer ones away.
            avoid: keys in use at the same server, whose config_id the new one does not get.
            entropy: the source of the config_id, and of no key.

        Raises:
            ConfigurationError: the name is not a proper host name, or another argument is wrong.
        """
        number = _KEMS_BY_NAME.get(kem) if isinstance(kem, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
        if number is None:
            names = ", ".join(_KEMS_BY_NAME)
            raise ConfigurationError(f"kem must be one of {names}, not {shown(kem)}.")
        if type(maximum_name_length) is not int or not 0 <= maximum_name_length <= _LONGEST_NAME:
            raise ConfigurationError(
                f"maximum_name_length must be from 0 to {_LONGEST_NAME}, not "
                f"{shown(maximum_name_length)}."
            )
        others = _tuple_of(avoid, "avoid must be a list of EchKey")
        for other in others:
            if not isinstance(other, EchKey):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigurationError(
                    f"avoid must be a list of EchKey, and one is {shown(other)}."
                )
        key: X25519PrivateKey | EllipticCurvePrivateKey
        is_x25519 = number == HpkeKem.DHKEM_X25519_HKDF_SHA256
        key = X25519PrivateKey.generate() if is_x25519 else generate_private_key(SECP256R1())
        config = make_ech_config(
            _fresh_id({config.config_id for each in others for config in each.configs}, entropy),
            int(number),
            share_of(key).share,
            [(int(suite.kdf), int(suite.aead)) for suite in SUITES],
            maximum_name_length,
            normal_name(public_name),
        )
        return cls(key, (config,))

    @classmethod
    def load(cls, source: str | os.PathLike[str] | bytes, *, send_as_retry: bool = True) -> EchKey:
        """Read a private key and its configurations, as `to_pem` and `openssl ech` write them.

        Args:
            source: a path, or the content of the file as bytes (RFC 9934).
            send_as_retry: see `EchKey`.

        Raises:
            ConfigurationError: it cannot be read, or holds no unencrypted key for X25519 or P-256,
                or no configuration with its public key.
        """
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        data, named = read_source(source, "ECH key", most=_MOST_OF_A_FILE)
        found = _block(data, "PRIVATE KEY")
        if found is None:
            raise ConfigurationError(f"There is no PRIVATE KEY in {named}.")
        warn_if_exposed(source, named)
        try:
            key = cast(X25519PrivateKey, load_pem_private_key(found.text, None))
        except Exception:
            raise ConfigurationError(f"The PRIVATE KEY in {named} cannot be read.") from None
        kem = _kem_of(key)
        public = share_of(key).share
        own = [
            each
            for each in _configs_in(data, named)
            if (each.kem, each.public_key) == (kem, public)
        ]
        if not own:
            raise ConfigurationError(f"No ECHCONFIG in {named} has the public key of its key.")
        return cls(key, tuple(own), send_as_retry)

    @classmethod
    def auto_reload(
        cls,
        path: str | os.PathLike[str],
        *older: str | os.PathLike[str],
        on_error: Callable[[ConfigurationError], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> ReloadingEchKeys:
        """Load keys as `load` does, and again whenever the files change, for `ServerConfig.ech`.

        Args:
            path: the file of the current key, whose configuration clients get that use another one.
            older: files of keys that are on their way out: clients that still have their
                configurations in a cache can use them, and no other client gets these any more.
            on_error, clock: see `ReloadingEchKeys`.

        Raises:
            ConfigurationError: as for `load`, at the first load only.
        """
        paths = [path, *older]
        for each in paths:
            if not isinstance(each, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigurationError(f"An ECH key to reload is a path, not {shown(each)}.")

        def load() -> tuple[EchKey, ...]:
            return tuple([cls.load(each, send_as_retry=not at) for at, each in enumerate(paths)])

        return ReloadingEchKeys(paths, load, on_error=on_error, clock=clock)

    def to_pem(self) -> bytes:
        """Return the private key and the configurations in PEM (RFC 9934), as `openssl ech` does.

        It is a secret: write it with `handclasp.private_files.write_private`.
        """
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        key = self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + EchConfigList(self.configs).to_pem()


class ReloadingEchKeys(ReloadingFiles[tuple[EchKey, ...]]):
    """A server's keys in files, which are read again when they change; for any number of threads.

    `EchKey.auto_reload` makes one. The files are checked when `current` is read, at most once a
    second. While one of them does not load, all of the old keys stay. A handshake that has begun
    goes on with the keys that it began with.

    >>> from handclasp.private_files import write_private
    >>> write_private("ech.pem", EchKey.generate("public.example").to_pem())
    >>> keys = EchKey.auto_reload("ech.pem")
    >>> server = ServerConfig(credentials=Credentials.load("chain.pem", "key.pem"), ech=keys)
    >>> [config.public_name for key in keys.current for config in key.configs], keys.last_error
    (['public.example'], None)

    Args:
        files: the paths to check.
        load: a function that loads the keys, best first, and raises `ConfigurationError` for
            invalid content. Any other exception that it raises later counts as such an error.
        on_error: a function that is called once for each new error, with the reason why the old
            keys stay.
        clock: seconds that never go backwards.

    Attributes:
        last_error: why the last change was not loaded; None if there is no error.

    Raises:
        ConfigurationError: they cannot be loaded now; or `load` or `on_error` is an async
            function, which nothing would await.
    """

    __slots__ = ()

    def _loaded(self) -> tuple[EchKey, ...]:
        loaded = cast(object, self._load())
        if is_coroutine(loaded):
            loaded.close()
        keys = cast("tuple[EchKey, ...]", loaded if isinstance(loaded, tuple) else ())
        check_ech_keys(keys)
        return keys


class EchKeySource(Protocol):
    """The source of a server's keys that come from elsewhere: a database, or a service for keys.

    It is asked about each hello with encrypted_client_hello, by a `FindEchKeys` question. For files
    there is `EchKey.auto_reload`.

    >>> class Rotating:
    ...     def __init__(self):
    ...         self.held = (EchKey.generate("public.example"),)
    ...     def rotate(self):
    ...         new = EchKey.generate("public.example", avoid=self.held)
    ...         old = EchKey(self.held[0].private_key, self.held[0].configs, send_as_retry=False)
    ...         self.held = (new, old)
    ...     def find_keys(self, config_id, public_name):
    ...         return self.held
    >>> server = ServerConfig(credentials=Credentials.load("chain.pem", "key.pem"), ech=Rotating())
    """

    def find_keys(self, config_id: int, public_name: str | None) -> Any:
        """Return the current keys, best first, in a tuple or list; None: this server has no ECH.

        An awaitable of it, or DEFER, makes the handshake wait for the answer. An exception, or
        anything else, fails the handshake with `Fault.CALLBACK_FAILED`: a server that went on
        without its keys would tell its clients that it has no ECH any more.

        Whether a key has this `config_id` or not, the answer should take the same time, and contain
        the keys with `send_as_retry` in any case: who cannot tell the numbers in use from others
        cannot find out which names a number stands for. `FindEchKeys` describes the arguments.
        """
        ...


def check_ech_keys(keys: tuple[EchKey, ...]) -> None:
    """Raise `ConfigurationError` for keys that a server cannot use together (RFC 9849 7.1).

    Every client with another configuration, or with GREASE, gets all that may be sent as a retry:
    more of it than clients take would keep each of them out.
    """
    if not keys:
        raise ConfigurationError("ech needs EchKey in a tuple, and there is none.")
    for key in keys:
        if not isinstance(key, EchKey):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"ech must be a list of EchKey, and one is {shown(key)}.")
    if not any(key.send_as_retry for key in keys):
        # RFC 9849 7.1: it MUST send retry_configs with up-to-date keys.
        raise ConfigurationError("ech: one of the keys must have send_as_retry.")
    if (size := _written_size(retry_configs(keys))) > _MOST_RETRY_BYTES:
        raise ConfigurationError(
            f"ech: the configurations of the keys with send_as_retry take {size} bytes, of "
            f"{_MOST_RETRY_BYTES} at most: set send_as_retry=False for old keys, or use fewer."
        )


def retry_configs(keys: Iterable[EchKey]) -> tuple[EchConfig, ...]:
    """Return the configurations that a server sends as retry_configs (RFC 9849 section 7.1)."""
    return tuple([each for key in keys if key.send_as_retry for each in key.configs])


def _check_list_size(configs: Iterable[EchConfig]) -> None:
    if (size := _written_size(configs)) > _MOST_LIST_BYTES:
        raise ConfigurationError(
            f"A list of ECH configurations takes {size} bytes, of {_MOST_LIST_BYTES} at most."
        )


def _written_size(configs: Iterable[EchConfig]) -> int:
    return sum([len(config.raw) for config in configs])


class EchRejectedError(ProtocolError):
    """The server did not accept the encrypted hello, and nothing of the application was sent to it.

    It may have an old key, or none. If `retry_configs` are there, connect once more with them. To
    connect without encryption, with the server's name in the clear, is the program's own decision:
    the library never does it by itself.

    >>> key = EchKey.generate("example.com")
    >>> error = EchRejectedError(EchConfigList(key.configs), "example.com", is_authentic=True)
    >>> retry = ClientConfig(ech=error.retry_configs)
    >>> text = error.retry_configs.to_base64()  # As `handclasp connect --ech` takes it.
    >>> EchConfigList.from_base64(text) == error.retry_configs
    True

    Attributes:
        retry_configs: the server's current configurations, for one further attempt; None if it sent
            none that this library can use (the message says why), or was not authenticated.
            `to_base64` and `to_pem` write them for later connections, which RFC 9849 section 6.1.8
            allows to servers with the same source of configurations; a server may know a client
            again by those that it gave it.
        public_name: the name in the outer hello.
        is_authentic: whether the server has proved to be `public_name`. If it has, and there are no
            retry_configs, it has switched ECH off, or has only versions of it that this library
            does not know (RFC 9849 section 6.1.6). With `verify_peer=False`, or where raw public
            keys alone are taken, nothing is proved.

    Args:
        problem: why the configurations that the server sent cannot be used, if it sent any.
    """

    def __init__(
        self,
        retry_configs: EchConfigList | None,
        public_name: str,
        *,
        is_authentic: bool,
        problem: str = "",
    ) -> None:
        self.retry_configs = retry_configs
        self.public_name = public_name
        self.is_authentic = is_authentic
        if not is_authentic:
            detail = f"nobody verified that it is {public_name}"
            fix = advice(
                "",
                "Verify the server by its certificate, so that what it says of ECH can be relied "
                "on: a raw public key does not prove a name.",
            )
        elif retry_configs is not None:
            detail = f"it proved to be {public_name}, and sent its current ECH configurations"
            fix = advice(
                "Publish only ECH configurations whose keys every machine of the server has.",
                "Connect once more with the configurations that came (retry_configs).",
            )
        elif problem:
            detail = (
                f"it proved to be {public_name}, and sent ECH configurations that this end cannot "
                f"use: {problem}"
            )
            fix = advice(
                "Send a configuration that all clients can use: of version 0xfe0d, with "
                "DHKEM(X25519), HKDF-SHA256 and AES-128-GCM.",
                "If everybody on the way may read the server's name, connect without ECH.",
            )
        else:
            detail = f"it proved to be {public_name}, and sent no ECH configuration"
            fix = advice(
                "Publish no ECH configuration until every machine of the server has its key.",
                "If everybody on the way may read the server's name, connect without ECH.",
            )
        verdict = None
        if is_authentic:
            verdict = Verdict(
                Blame.UNCLEAR,
                "this end has an old configuration, or the other end publishes one without having "
                "its key",
            )
        super().__init__(Fault.ECH_REJECTED, detail, fix=fix, verdict=verdict)


def _tuple_of(values: Iterable[_T], what: str) -> tuple[_T, ...]:
    """Return the values in a tuple. Raises `ConfigurationError`, which begins with `what`."""
    if not isinstance(values, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"{what}, not {shown(values)}.")
    return tuple(values)


def _kem_of(key: object) -> int:
    """Return the number of the KEM that a private key is for. Raises `ConfigurationError`."""
    if isinstance(key, X25519PrivateKey):
        return HpkeKem.DHKEM_X25519_HKDF_SHA256
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return HpkeKem.DHKEM_P256_HKDF_SHA256
    raise ConfigurationError("An ECH key is one for X25519 or P-256.")


def _fresh_id(taken: set[int], entropy: Callable[[int], bytes]) -> int:
    """Return a random config_id that is not taken, if there is one (RFC 9849 section 4.1)."""
    free = [number for number in range(256) if number not in taken] or list(range(256))
    return free[int.from_bytes(entropy(4), "big") % len(free)]


def _block(data: bytes, label: str) -> PemBlock | None:
    return next((block for block in pem_blocks(data) if block.label == label), None)


def _configs_in(data: bytes, named: str) -> EchConfigList:
    found = _block(data, "ECHCONFIG")
    if found is None:
        raise ConfigurationError(f"There is no ECHCONFIG in {named}.")
    try:
        decoded = base64.b64decode(b"".join(found.body.split()), validate=True)
    except binascii.Error:
        raise ConfigurationError(f"The ECHCONFIG in {named} cannot be decoded.") from None
    return EchConfigList.from_bytes(decoded)


def _pem(label: str, data: bytes) -> bytes:
    text = base64.b64encode(data).decode("ascii")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def private_share(key: EchKey) -> PrivateShare:
    """Return the private half of a key as HPKE takes it, which is made once for each key."""
    return cast(PrivateShare, key._share)  # pyright: ignore[reportPrivateUsage]


def suite_name(kdf: int, aead: int) -> str:
    """Return the names of an HPKE KDF and AEAD, or the numbers of unknown ones."""
    names = (HPKE_KDF_NAMES.get(kdf, f"0x{kdf:04x}"), HPKE_AEAD_NAMES.get(aead, f"0x{aead:04x}"))
    return " with ".join(names)


def chosen_suite(config: EchConfig) -> SymmetricSuite | None:
    """Return the first suite of a configuration that this library has."""
    suites = (SymmetricSuite(*pair) for pair in config.cipher_suites)
    return next((suite for suite in suites if suite.is_supported), None)


def _why_unusable(config: EchConfig) -> str:
    """Return why a client cannot use a configuration (RFC 9849 sections 4.2, 6.1 and 6.1.7)."""
    if config.version != ECH_VERSION:
        return f"its version is 0x{config.version:04x}"
    if config.mandatory_extensions:
        return f"it needs the unknown extension 0x{config.mandatory_extensions[0]:04x}"
    kem = KEMS.get(config.kem)
    if kem is None:
        return f"its KEM is 0x{config.kem:04x}"
    if len(config.public_key) != kem.public_size:
        return f"its public key has {len(config.public_key)} bytes"
    if chosen_suite(config) is None:
        return "none of its cipher suites is known"
    try:
        kem.exchange.respond(config.public_key, os.urandom)
    except BadShare:
        return "its public key is not valid"
    return _why_no_public_name(config.public_name)


def _why_no_public_name(name: str) -> str:
    try:
        is_proper = name.isascii() and normal_name(name) == name.lower()
    except ConfigurationError:
        is_proper = False
    if not is_proper or any(len(label) > _LONGEST_LABEL for label in name.split(".")):
        return f"its public name {printable(name, LONGEST)!r} is not a host name"
    if ip_address(name) is not None or host_problem(name.lower()):
        return f"its public name {printable(name, LONGEST)!r} is an address, or not a host name"
    return ""
