"""Frames and bytecodes of a whole handshake, both ends."""

from __future__ import annotations

import dis
import sys
from collections import Counter
from collections.abc import Callable
from enum import EnumType
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, FrameType
from typing import Any

from tests.counting import bytecodes_of, without_collections

from handclasp import (
    ClientConfig,
    ClientConnection,
    Credentials,
    EchConfigList,
    EchKey,
    ServerConfig,
    ServerConnection,
    Session,
    TrustStore,
)
from handclasp.certificates.authority import LocalAuthority

SUITE12 = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
SCENARIOS: dict[str, dict[str, Any]] = {
    "full": {},
    "resumed": {"resumes": True},
    "hybrid": {"groups": ["X25519MLKEM768"]},
    "TLS 1.2 full": {"version": "TLSv1.2"},
    "TLS 1.2 resumed": {"version": "TLSv1.2", "resumes": True},
    "without GREASE ECH": {"grease_ech": False},
    "GREASE ECH to keys": {"has_ech_keys": True},
    "ECH": {"has_ech_keys": True, "encrypts": True},
}
_WARM = 200
"""Rounds after which each value of GREASE has stood in each list, and is known there."""
_NOT_OURS = frozenset((__file__, sys.modules["tests.counting"].__file__))


class _LastSession:
    """A session store that gives the newest session, or keeps it to itself."""

    def __init__(self, *, resumes: bool) -> None:
        self._resumes = resumes
        self._session: Session | None = None

    def put(self, key: str, session: Session) -> None:
        self._session = session

    def take(self, key: str) -> Session | None:
        if not self._resumes:
            return None
        session, self._session = self._session, None
        return session

    def discard(self, key: str, session: Session) -> None:
        self._session = None


@lru_cache
def _identity() -> tuple[TrustStore, Credentials]:
    with TemporaryDirectory() as directory:
        authority = LocalAuthority.open_or_create(Path(directory))
        issued = authority.issue(["localhost"], key_type="ecdsa-p256")
        trust = TrustStore.from_pem(authority.certificate_pem)
        return trust, Credentials.from_pem(issued.chain_pem, issued.key_pem)


@lru_cache
def _ech_key() -> EchKey:
    return EchKey.generate("localhost")


class Meeting:
    """A client's and a server's config, which have met several times before."""

    def __init__(self, scenario: str = "full") -> None:
        options: dict[str, Any] = {"resumes": False, "groups": ["X25519"], "version": "TLSv1.3"}
        options |= SCENARIOS[scenario]
        self.resumes, version = options["resumes"], options["version"]
        trust, credentials = _identity()
        shared: dict[str, Any] = {"versions": [version], "groups": options["groups"]}
        shared["cipher_suites"] = ["TLS_AES_256_GCM_SHA384" if version == "TLSv1.3" else SUITE12]
        if version == "TLSv1.2":
            shared["groups"] = [*shared["groups"], "secp256r1"]
        sessions = _LastSession(resumes=self.resumes)
        key = _ech_key()
        ech = EchConfigList(key.configs) if options.get("encrypts") else None
        grease_ech = options.get("grease_ech", True)
        self.client = ClientConfig(
            trust=trust, sessions=sessions, ech=ech, grease_ech=grease_ech, **shared
        )
        keys = [key] if options.get("has_ech_keys") else []
        self.server = ServerConfig(credentials=credentials, ech=keys, **shared)
        for _ in range(_WARM):
            client = self.run()
        assert client.info is not None
        assert client.info.resumed is self.resumes

    def run(self) -> ClientConnection:
        """One whole handshake; gives the client."""
        client = ClientConnection(self.client, server_name="localhost")
        server = ServerConnection(self.server)
        for _ in range(2):
            server.receive_data(client.data_to_send())
            client.receive_data(server.data_to_send())
        assert client.established
        assert server.established
        return client


def calls_of(run: Callable[[], object]) -> Counter[tuple[str, str]]:
    """The functions that a call enters or resumes, by file and name, and how often each."""
    calls: Counter[tuple[str, str]] = Counter()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename not in _NOT_OURS:
            calls[frame.f_code.co_filename, frame.f_code.co_qualname] += 1

    before = sys.getprofile()
    with without_collections():
        sys.setprofile(note)
        try:
            run()
        finally:
            sys.setprofile(before)
    return calls


def frames(meeting: Meeting) -> int:
    """How many frames of Python one handshake enters or resumes."""
    return calls_of(meeting.run).total()


def most_called(meeting: Meeting) -> list[tuple[str, int]]:
    """The functions that one handshake calls, and how often each."""
    return [
        (f"{name}  ({'/'.join(Path(file).parts[-3:])})", count)
        for (file, name), count in calls_of(meeting.run).most_common()
    ]


def bytecodes(meeting: Meeting) -> int:
    """How many bytecodes one handshake runs."""
    return bytecodes_of(meeting.run)


@cache
def _attributes_of_globals(code: CodeType) -> dict[int, tuple[str, str]]:
    """The look-ups of attributes of a module's variables in `code`, by their offsets."""
    found: dict[int, tuple[str, str]] = {}
    for before, after in pairwise(dis.get_instructions(code)):
        if before.opname == "LOAD_GLOBAL" and after.opname == "LOAD_ATTR":
            found[after.offset] = before.argval, after.argval
    return found


def members_looked_up(meeting: Meeting) -> Counter[str]:
    """The members of enums that one handshake looks up in their class, and how often each."""
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, argument: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        looked_up = _attributes_of_globals(frame.f_code).get(frame.f_lasti)
        if event == "opcode" and looked_up is not None:
            owner, name = looked_up
            if isinstance(frame.f_globals.get(owner), EnumType):
                found[f"{owner}.{name} in {frame.f_code.co_qualname}"] += 1
        return note

    before = sys.gettrace()
    sys.settrace(note)
    try:
        meeting.run()
    finally:
        sys.settrace(before)
    return found
