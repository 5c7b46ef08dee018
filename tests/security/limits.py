"""Every bound on what a peer may cost: where it is set, what it is, and the test of it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from handclasp import ClientConfig, Limits, SessionStore
from handclasp.adapters.arguments import (
    DEFAULT_CLOSE_TIMEOUT,
    DEFAULT_HELLO_TIMEOUT,
    DEFAULT_MAX_HANDSHAKES,
)
from handclasp.certificates.path import MOST_SIGNED
from handclasp.sessions.replay import ReplayFilter
from handclasp.sessions.session_cache12 import DEFAULT_BYTES


@dataclass(frozen=True)
class Limit:
    """One bound.

    Attributes:
        field: what to set, or "fixed".
        default: its value, as told to people.
        what: what is bounded, and what happens beyond.
        test: below tests/.
    """

    field: str
    default: str
    what: str
    test: str


def _default(name: str) -> str:
    value = getattr(Limits(), name)
    return "the AEAD's own limit" if value is None else f"{value:,}"


LIMITS: tuple[Limit, ...] = (
    Limit(
        "Limits.max_hello_bytes",
        _default("max_hello_bytes"),
        "bytes of a ClientHello or ServerHello; refused by its header",
        "adversarial/test_records.py::test_message_announces_too_much",
    ),
    Limit(
        "Limits.max_certificate_bytes",
        _default("max_certificate_bytes"),
        "bytes of a Certificate, compressed or not",
        "adversarial/test_records.py::test_certificate_too_large",
    ),
    Limit(
        "Limits.max_other_message_bytes",
        _default("max_other_message_bytes"),
        "bytes of any other handshake message",
        "adversarial/test_records.py::test_message_too_large",
    ),
    Limit(
        "Limits.max_handshake_bytes",
        _default("max_handshake_bytes"),
        "bytes of a whole handshake, and what may wait while a question is open",
        "adversarial/test_records.py::test_handshake_too_large",
    ),
    Limit(
        "Limits.max_certificates",
        _default("max_certificates"),
        "certificates in a message",
        "adversarial/test_authentication.py::test_fewer_certificates_are_accepted",
    ),
    Limit(
        "Limits.max_extensions",
        _default("max_extensions"),
        "extensions in a message",
        "adversarial/test_hellos.py::test_too_many_extensions_of_a_client",
    ),
    Limit(
        "Limits.max_key_shares",
        _default("max_key_shares"),
        "key shares in a hello",
        "adversarial/test_hellos.py::test_too_many_key_shares",
    ),
    Limit(
        "Limits.max_records_without_progress",
        _default("max_records_without_progress"),
        "empty records, change_cipher_specs and warnings in a row, and user_canceled in all",
        "adversarial/test_floods.py::test_empty_data_flood",
    ),
    Limit(
        "Limits.max_messages_without_data",
        _default("max_messages_without_data"),
        "KeyUpdates, tickets and HelloRequests in a row without data",
        "adversarial/test_floods.py::test_key_update_flood",
    ),
    Limit(
        "Limits.max_certificate_requests",
        _default("max_certificate_requests"),
        "requests for a certificate after the handshake that are outstanding, or whose answers "
        "wait to be sent",
        "adversarial/test_post_handshake_authentication.py"
        "::test_requests_whose_answers_nobody_reads",
    ),
    Limit(
        "Limits.max_records_per_key",
        _default("max_records_per_key"),
        "records under one key before it is changed, or a connection of TLS 1.2 ends; the AEAD's "
        "own limit where that is smaller",
        "adversarial/test_key_limits.py::test_the_smaller_of_both_holds",
    ),
    Limit(
        "handshake_timeout",
        f"{ClientConfig(verify_peer=False).handshake_timeout:.0f} s",
        "the time of a handshake over sockets, however the peer dribbles",
        "adapters/test_sockets.py::test_a_dribbling_server_does_not_stretch_the_handshake_timeout",
    ),
    Limit(
        "handshake_timeout",
        f"{ClientConfig(verify_peer=False).handshake_timeout:.0f} s",
        "the same under asyncio",
        "adapters/test_asyncio.py::test_a_silent_peer_runs_into_the_handshake_timeout",
    ),
    Limit(
        "start_server(max_handshakes)",
        f"{DEFAULT_MAX_HANDSHAKES:,}",
        "handshakes of an asyncio server at once; who holds a place and says nothing makes room, "
        "else others wait in the kernel's queue",
        "adapters/test_accepting.py::test_thousands_who_say_nothing_cost_no_more_than_a_few",
    ),
    Limit(
        "start_server(hello_timeout)",
        f"{DEFAULT_HELLO_TIMEOUT:.0f} s",
        "the time in which a client of an asyncio server must send its hello",
        "adapters/test_accepting.py::test_a_hello_must_come_soon",
    ),
    Limit(
        "close_timeout",
        f"{DEFAULT_CLOSE_TIMEOUT:.0f} s",
        "the time without progress after which closing is given up under asyncio and trio",
        "adapters/test_asyncio_endings.py::test_giving_up_on_a_peer_that_does_not_read_is_an_error",
    ),
    Limit(
        "max_early_data",
        "0",
        "bytes of early data that a server takes",
        "adversarial/test_resumption.py::test_too_much_early_data",
    ),
    Limit(
        "fixed",
        "65,536, or twice max_early_data",
        "bytes of refused early data that a server skips",
        "adversarial/test_early_data.py::test_early_data_without_end",
    ),
    Limit(
        "SessionStore(capacity)",
        f"{SessionStore()._capacity:,} servers, 8 sessions each",
        "sessions that a client keeps",
        "sessions/test_store.py::test_so_many_for_one_server_and_no_more",
    ),
    Limit(
        "SessionStore(max_bytes)",
        f"{SessionStore()._max_bytes:,}; a file takes twice as many at most",
        "bytes that these sessions take, with the certificates in them",
        "sessions/test_store.py::test_so_many_bytes_and_no_more",
    ),
    Limit(
        "fixed",
        "a sixteenth of max_bytes; an eighth",
        "the largest session that is kept; all those of one server",
        "sessions/test_store.py::test_one_server_does_not_push_out_the_others",
    ),
    Limit(
        "session_memory",
        "1,024",
        "sessions of TLS 1.2 that a server remembers for clients without tickets",
        "sessions/test_session_cache12.py::test_the_least_recently_used_goes_first",
    ),
    Limit(
        "session_memory_bytes",
        f"{DEFAULT_BYTES:,}",
        "bytes that these take, with the clients' certificates in them",
        "sessions/test_session_cache12.py::test_so_many_bytes_and_no_more",
    ),
    Limit(
        "ReplayFilter(capacity)",
        f"{ReplayFilter()._capacity:,}",
        "flights with early data that are remembered; a full memory takes none",
        "sessions/test_replay.py::test_full_is_no",
    ),
    Limit(
        "fixed",
        f"{MOST_SIGNED:,}",
        "bytes of certificates that are verified for the issuers of one name; the default limits "
        "do not reach it, and beyond it the likeliest issuers are tried, at least one",
        "certificates/test_verdict.py::TestManyIssuers::test_the_bound_is_named",
    ),
    Limit(
        "fixed",
        "8",
        "pre-shared identities of a hello that are tried",
        "adversarial/test_costs.py::test_so_many_identities_are_looked_at",
    ),
    Limit(
        "fixed",
        "one answer",
        "what waits for a peer that asks for keys or renegotiation and does not read",
        "adversarial/test_renegotiation12.py::test_a_peer_that_asks_and_never_reads_costs_no_memory",
    ),
    Limit(
        "set_write_buffer_limits",
        "as asyncio has it",
        "what waits for a peer that does not read, before the application has to wait",
        "adapters/test_asyncio.py::test_write_buffer_limits_reach_the_plain_transport",
    ),
    Limit(
        "fixed",
        "what came, and 64 KiB",
        "memory for a message that is not complete",
        "adversarial/test_costs.py::test_memory_is_what_came_and_a_little_more",
    ),
    Limit(
        "fixed",
        "10 events of the interpreter",
        "the cost of a record with one byte of a hello in it; linear in their number",
        "adversarial/test_costs.py::test_tiny_records_cost_so_much_per_byte",
    ),
    Limit(
        "fixed",
        "140 events of the interpreter",
        "the cost of a read that brings one byte of a hello; linear in their number",
        "adversarial/test_costs.py::test_tiny_reads_cost_so_much_per_byte",
    ),
)

FIELDS = tuple(field.name for field in fields(Limits))
