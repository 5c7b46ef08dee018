"""The attacks, what keeps each of them out, and the tests that show it.

A `Proof` is a test together with the defence taken out of the source: `python -m tests.security`
takes it out of a copy and demands that the test fails there. Its code is named by symbol and
syntax: see `edits`. Where the defence is that something
does not exist, there is nothing to take out, and only tests are named.

docs/security.md is written from this table.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.security.edits import Edit, default_for


@dataclass(frozen=True)
class Proof:
    """A test below tests/ that fails where all the edits are made."""

    test: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True)
class Threat:
    """One kind of attack.

    Attributes:
        name: what it is called.
        defence: what is done about it, in a sentence or two.
        proofs: see `Proof`.
        tests: more tests of it.
    """

    section: str
    name: str
    defence: str
    proofs: tuple[Proof, ...] = ()
    tests: tuple[str, ...] = ()

    @property
    def every_test(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*(proof.test for proof in self.proofs), *self.tests]))


def without(test: str, where: str, old: str, new: str | None = None, before: str = "") -> Proof:
    """The usual proof: one condition never holds, or one statement is not there."""
    edit = Edit(where, old, default_for(old) if new is None else new, before)
    return Proof(test, (edit,))


_STATES = "The states of a connection"
_DOWNGRADE = "Downgrades"
_RECORDS = "Records"
_EXCHANGE = "Key exchange"
_RESUMPTION = "Resumption"
_IDENTITY = "Who the peer is"
_SERVICE = "Denial of service"
_PARSER = "Parsers"
_SIDE = "Side channels"
_API = "The programming interface"
_FILES = "Files, and the tools around the library"
_COMPAT = "Programs of ssl: handclasp.compat"

_ENDLESS = (
    Edit("iana._names_of", "dict.fromkeys(numbers)", "numbers"),
    Edit("iana._names_of", "not room", "False"),
)
"""Lists as long as the peer likes, and each value in them as often."""

THREATS: tuple[Threat, ...] = (
    Threat(
        _STATES,
        "Injected ChangeCipherSpec (CVE-2014-0224)",
        "In TLS 1.2 it is a step of its own, taken where the handshake waits for it and nowhere "
        "else. In TLS 1.3 it never touches keys: exactly one byte of 1, between the first "
        "ClientHello and Finished, in a limited number.",
        (
            without(
                "adversarial/test_order12.py::test_early_keys_of_a_server",
                "handshake.loop.HandshakeLoop._receive_change_cipher_spec",
                "raise ProtocolError(Fault.UNEXPECTED_CHANGE_CIPHER_SPEC, ...)",
            ),
            without(
                "adversarial/test_records.py::test_change_cipher_spec_after_the_handshake",
                "record_loop.RecordLoop._receive_change_cipher_spec_record",
                "not records.change_cipher_spec_allowed",
            ),
            without(
                "adversarial/test_floods.py::test_change_cipher_spec_flood",
                "record_loop.RecordLoop._receive_change_cipher_spec_record",
                'records.note_record_without_progress("change_cipher_spec")',
                "pass",
            ),
        ),
        (
            "adversarial/test_order12.py::test_early_keys_of_a_client",
            "adversarial/test_records.py::test_change_cipher_spec_of_other_content",
        ),
    ),
    Threat(
        _STATES,
        "Messages left out, repeated or swapped (SMACK, SKIP, early Finished)",
        "A handshake is one straight line of code that waits for the one or two messages that may "
        "come next. Checks return proofs that the next step takes as an argument.",
        (
            without(
                "adversarial/test_order.py::test_server_repeats",
                "handshake.context.HandshakeContext.receive",
                "raise self._unexpected(raw, ...)",
                "return (yield from self.receive(*expected))",
            ),
            without(
                "adversarial/test_order.py::test_server_repeats",
                "handshake.context.HandshakeContext.receive_raw",
                "raise self._unexpected(raw, ...)",
                "return (yield from self.receive_raw(*expected))",
            ),
        ),
        (
            "adversarial/test_order.py::test_server_leaves_out",
            "adversarial/test_order.py::test_client_reorders",
            "adversarial/test_order12.py::test_server_leaves_out",
            "exploration/test_graph.py::test_only_what_the_rfc_allows_is_accepted",
        ),
    ),
    Threat(
        _STATES,
        "Handshake bytes across a change of keys (CVE-2025-61730, RUSTSEC-2026-0285)",
        "New keys for reading are refused while bytes of a handshake message wait: what came "
        "under one key is never taken for something under the next.",
        (
            without(
                "adversarial/test_order.py::test_bytes_behind_the_server_hello",
                "record.layer.RecordLayer.install_read",
                "raise ProtocolError(Fault.HANDSHAKE_ACROSS_KEY_CHANGE, ...)",
            ),
        ),
        (
            "adversarial/test_order.py::test_bytes_behind_a_key_update",
            "record/test_layer.py::test_no_handshake_bytes_stand_before_a_change_of_keys",
        ),
    ),
    Threat(
        _STATES,
        "Bytes of the next flight before its turn, where no keys change",
        "Where a flight ends and this side answers, its last record must not hold more.",
        tuple(
            without(
                f"adversarial/test_flights.py::{test}",
                "record.layer.RecordLayer.end_flight",
                "raise ProtocolError(fault, ...)",
            )
            for test in (
                "test_behind_a_hello_of_tls12",
                "test_behind_server_hello_done",
                "test_behind_the_first_hello",
                "test_behind_a_hello_retry_request",
            )
        ),
    ),
    Threat(
        _STATES,
        "Other records in the middle of a handshake message",
        "While a message is incomplete, only handshake records are taken.",
        (
            without(
                "adversarial/test_records.py::test_record_inside_of_a_message",
                "record_loop.RecordLoop._receive_other",
                "raise ProtocolError(Fault.INTERLEAVED_RECORD, ...)",
            ),
        ),
        ("adversarial/test_order12.py::test_inside_of_a_message_of_a_client",),
    ),
    Threat(
        _STATES,
        "Finished unchecked, over another transcript, or skipped in a resumption",
        "One function checks the peer's Finished in every mode of both versions, in constant time, "
        "and gives the proof without which nothing is settled.",
        (
            without(
                "adversarial/test_authentication.py::test_every_byte_of_finished_counts",
                "handshake.finished.check_finished",
                "raise ProtocolError(Fault.BAD_FINISHED, ...)",
            ),
        ),
        (
            "adversarial/test_authentication12.py::test_every_byte_of_finished_counts",
            "adversarial/test_resumption12.py::test_every_byte_of_finished_counts",
            "adversarial/test_authentication.py::test_finished_of_the_other_side",
        ),
    ),
    Threat(
        _STATES,
        "Data sent before Finished, after close_notify or after a failure",
        "The most direct way has a key of its own, which is there once the handshake is complete, "
        "and taken away where this side closes or the connection fails.",
        (
            without(
                "end_to_end/test_short_ways.py::test_nothing_is_sent_before_the_handshake_is_complete",
                "record.layer.RecordLayer.install_write",
                "self.data_key is not None",
                "True",
            ),
            without(
                "end_to_end/test_short_ways.py::test_nothing_is_sent_after_close",
                "lifecycle.Lifecycle._close_half",
                "self._records.data_key = None",
            ),
            without(
                "end_to_end/test_short_ways.py::test_nothing_is_sent_after_a_failure",
                "lifecycle.Lifecycle._end",
                "self._post = self._data_key = self._records.data_key = None",
                "self._post = self._data_key = None",
            ),
        ),
        (),
    ),
    Threat(
        _STATES,
        "Tricks with HelloRetryRequest (CVE-2026-3230 and others)",
        "One request at most, for a group that was offered and got no share, or with a cookie; "
        "then the same suite and version, and a share of exactly that group.",
        (
            without(
                "adversarial/test_retry.py::test_request_for_a_group_that_was_not_listed",
                "handshake.tls13.client_retry._read_hello_retry_request",
                "raise ProtocolError(Fault.UNOFFERED_GROUP, ...)",
            ),
            without(
                "adversarial/test_retry.py::test_second_request",
                "handshake.tls13.client_retry.retry_hello",
                "raise ProtocolError(Fault.SECOND_HELLO_RETRY_REQUEST, ...)",
            ),
            without(
                "adversarial/test_hellos.py::test_server_hello_without_key_share",
                "handshake.tls13.server_hello.agree",
                "raise ProtocolError(Fault.MISSING_EXTENSION, ...)",
                "return None, early.handshake_secret(bytes(suite.hash_size))",
            ),
        ),
        (
            "adversarial/test_retry.py::test_group_changed",
            "adversarial/test_retry.py::test_suite_changed",
            "adversarial/test_retry.py::test_more_shares_than_were_asked_for",
        ),
    ),
    Threat(
        _STATES,
        "Plaintext read as if it had been protected (CVE-2023-40217, STARTTLS injection)",
        "Only what the application's keys opened is given out. `start_tls` refuses to begin while "
        "plaintext is unread.",
        (
            Proof(
                "adversarial/test_records.py::test_data_before_any_keys",
                (
                    Edit(
                        "record.plaintext.PlaintextReader.open_record",
                        "raise ProtocolError(Fault.APPLICATION_DATA_TOO_EARLY, ...)",
                        "pass",
                    ),
                    Edit(
                        "record_loop.RecordLoop._receive_early_data",
                        "raise ProtocolError(Fault.APPLICATION_DATA_TOO_EARLY, ...)",
                        "return",
                    ),
                ),
            ),
            without(
                "record/test_layer.py::test_no_crumbs_in_the_clear_end_a_protected_message",
                "record_loop.RecordLoop._walk",
                "self._message_size and reader is PLAINTEXT",
                "self._message_size",
            ),
            without(
                "adapters/test_asyncio.py::test_start_tls_refuses_injected_plaintext",
                "adapters.asyncio._upgrade",
                "bool(received)",
            ),
            without(
                "adapters/test_asyncio.py"
                "::test_with_the_go_ahead_nothing_is_taken_that_lay_in_the_kernel_before_it",
                "adapters.asyncio._upgrade",
                "not may_be_tls and peek(plain)",
            ),
        ),
        (
            "adversarial/test_records.py::test_data_never_reaches_the_application",
            "adapters/test_asyncio.py::test_what_only_seems_to_be_tls_never_reaches_the_application",
            "adapters/test_asyncio.py::test_with_the_go_ahead_nothing_that_came_before_it_is_taken",
        ),
    ),
    Threat(
        _STATES,
        "Authentication after the handshake, and other messages nobody asked for",
        "KeyUpdate and NewSessionTicket are all that may come. post_handshake_auth is off: without "
        "it, a CertificateRequest after Finished ends the connection.",
        (
            without(
                "adversarial/test_order.py::test_every_message_after_the_handshake",
                "handshake.tls13.post.PostHandshake13.receive",
                "raise ProtocolError(Fault.POST_HANDSHAKE_AUTHENTICATION, ...)",
                "return None",
            ),
        ),
        ("adversarial/test_order12.py::test_every_message_after_the_handshake",),
    ),
    Threat(
        _STATES,
        "Answers to a request for a certificate that nobody made, made twice, taken from another "
        "or split up (RFC 8446 section 4.6.2)",
        "Each request has a context of its own and a transcript of its own, which ends with it, "
        "and is answered once. The messages of an answer leave together, and nothing is taken "
        "between them. Finished is under the key of the moment.",
        (
            without(
                "adversarial/test_post_handshake_authentication.py"
                "::test_an_answer_that_nobody_asked_for",
                "handshake.tls13.post.PostHandshake13.receive",
                "raw[0] in _CERTIFICATES and is_asked",
                "raw[0] in _CERTIFICATES",
            ),
            without(
                "adversarial/test_post_handshake_authentication.py"
                "::test_an_answer_for_the_second_time",
                "handshake.tls13.post_handshake_authentication.CertificateRequests.receive_answer",
                "del self._outstanding[context]",
            ),
            without(
                "adversarial/test_post_handshake_authentication.py"
                "::test_an_answer_to_another_request",
                "handshake.tls13.post_handshake_authentication.CertificateRequests.receive_answer",
                "self._outstanding.get(context)",
                "self._outstanding[(context := next(iter(self._outstanding)))]",
            ),
            without(
                "adversarial/test_post_handshake_authentication.py"
                "::test_a_message_between_those_of_an_answer",
                "record_loop.RecordLoop._receive_data",
                "self._handshake is not None",
            ),
            without(
                "adversarial/test_post_handshake_authentication.py"
                "::test_a_message_between_those_of_an_answer",
                "record_loop.RecordLoop._choose_data_key",
                "self._handshake is not None",
                "False",
            ),
            without(
                "adversarial/test_post_handshake_authentication.py::test_a_wrong_finished",
                "handshake.tls13.post_handshake_authentication.CertificateRequests.receive_answer",
                "check_finished(await hs.receive_raw(Finished), expected)",
                "await hs.receive_raw(Finished)",
            ),
            without(
                "adversarial/test_post_handshake_authentication.py"
                "::test_a_request_without_a_context",
                "handshake.tls13.post_handshake_authentication.CertificateAnswers._note_context",
                "not context",
            ),
            without(
                "adversarial/test_post_handshake_authentication.py"
                "::test_a_context_for_the_second_time",
                "handshake.tls13.post_handshake_authentication.CertificateAnswers._note_context",
                "context in contexts",
            ),
            without(
                "adversarial/test_post_handshake_authentication.py"
                "::test_each_request_has_a_context_of_its_own",
                "handshake.tls13.post_handshake_authentication.CertificateRequests.request",
                "self._number += 1",
            ),
            without(
                "end_to_end/test_post_handshake_authentication.py"
                "::test_the_messages_of_an_answer_are_never_apart",
                "handshake.tls13.post_handshake_authentication.AnswerContext.send_raw",
                "self.messages.append(raw)",
                "self.port.send(raw)",
            ),
        ),
        (
            "adversarial/test_post_handshake_authentication.py"
            "::test_a_signature_over_another_request",
            "adversarial/test_post_handshake_authentication.py"
            "::test_a_finished_under_the_key_of_before",
            "adversarial/test_post_handshake_authentication.py"
            "::test_a_client_that_did_not_offer_it",
        ),
    ),
    Threat(
        _RESUMPTION,
        "A client that authenticated after the handshake, taken for somebody else when it resumes",
        "A ticket holds the client as of when it was issued, and nobody after an answer without a "
        "certificate. A client offers it only while it would show the same certificate, and keeps "
        "none once it has shown two. Where clients are asked in the handshake, no session of a "
        "server that asks later is resumed.",
        (
            without(
                "end_to_end/test_post_handshake_authentication.py"
                "::test_a_session_of_one_client_is_not_offered_by_another",
                "handshake.tls13.tickets.TicketKeeper.set_client",
                "self.session = partial(self.session, **shown_to(question, info))",
            ),
            without(
                "end_to_end/test_post_handshake_authentication.py"
                "::test_two_identities_in_one_connection_leave_no_session_of_either",
                "handshake.tls13.tickets.TicketKeeper.set_client",
                "self.local_chain not in ((), info.local_chain_der)",
            ),
            without(
                "end_to_end/test_post_handshake_authentication.py"
                "::test_a_ticket_of_after_tells_of_the_client",
                "handshake.tls13.post.PostHandshake13.authenticated",
                "self._issuer.set_client(result.info)",
            ),
            without(
                "end_to_end/test_post_handshake_authentication.py"
                "::test_a_server_that_asks_in_the_handshake_takes_no_session_of_one_that_asks_later",
                "config.sessions._client_auth",
                "config.post_handshake_auth",
            ),
        ),
        (
            "end_to_end/test_post_handshake_authentication.py"
            "::test_a_ticket_of_before_tells_of_nobody",
            "end_to_end/test_post_handshake_authentication.py"
            "::test_whoever_declines_takes_no_identity_along",
        ),
    ),
    Threat(
        _SERVICE,
        "Endless requests for a certificate, and answers that nobody reads",
        "32 requests without data between them are enough, and 8 whose answers wait to be sent. A "
        "server has at most 8 outstanding. While the application makes up its mind, as much waits "
        "as in a handshake.",
        (
            without(
                "adversarial/test_post_handshake_authentication.py::test_a_flood_of_requests",
                "handshake.tls13.post.PostHandshake13._count_without_data",
                "raise ProtocolError(Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS)",
                "pass",
            ),
            without(
                "adversarial/test_post_handshake_authentication.py"
                "::test_requests_whose_answers_nobody_reads",
                "lifecycle.Lifecycle._authenticate",
                "raise ProtocolError(Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS, ...)",
            ),
            without(
                "adversarial/test_post_handshake_authentication.py"
                "::test_contexts_do_not_fill_the_memory",
                "handshake.tls13.post_handshake_authentication.CertificateAnswers._note_context",
                "len(contexts) > _MOST_CONTEXTS",
            ),
            without(
                "end_to_end/test_post_handshake_authentication.py"
                "::test_several_requests_are_outstanding",
                "handshake.tls13.post_handshake_authentication.CertificateRequests.request",
                "len(self._outstanding) >= most",
            ),
        ),
        (
            "adversarial/test_post_handshake_authentication.py"
            "::test_what_waits_for_an_answer_is_bounded",
            "adversarial/test_post_handshake_authentication.py"
            "::test_what_waits_for_the_verifier_is_bounded",
        ),
    ),
    Threat(
        _DOWNGRADE,
        "An older version than both sides speak",
        "supported_versions decides. A server of both versions marks its random where it takes "
        "TLS 1.2, a client refuses the mark, and a fallback that was not needed is refused.",
        (
            without(
                "adversarial/test_hellos12.py::test_sentinel",
                "handshake.client.check_version",
                "raise ProtocolError(Fault.VERSION_DOWNGRADE, ...)",
            ),
            without(
                "adversarial/test_hellos12.py::test_downgrade_to_tls12",
                "handshake.tls12.server._send_hello",
                "random = random[: -len(_SENTINEL)] + _SENTINEL",
            ),
            without(
                "adversarial/test_hellos12.py::test_fallback",
                "handshake.server._choose_version",
                "raise ProtocolError(Fault.INAPPROPRIATE_FALLBACK, ...)",
            ),
        ),
        ("adversarial/test_hellos12.py::test_downgrade_with_the_sentinel_removed",),
    ),
    Threat(
        _DOWNGRADE,
        "FREAK, Logjam, export suites",
        "There are no such suites and no finite-field groups. A suite that was not offered and a "
        "ServerKeyExchange that does not belong to the suite are refused; RSA key transport is "
        "off.",
        (
            without(
                "adversarial/test_hellos12.py::test_key_transport_is_off",
                "handshake.tls12.server_hello.check_server_hello",
                "suite.name not in config.cipher_suites",
            ),
        ),
        (
            "adversarial/test_order12.py::test_key_exchange_that_key_transport_does_not_have",
            "end_to_end/test_registry.py::test_nothing_else_can_be_configured",
        ),
    ),
    Threat(
        _DOWNGRADE,
        "SSLv2 and SSLv3 (DROWN)",
        "There is no code for them; an SSLv2 hello differs from TLS in its first bytes, and "
        "refused.",
        (
            without(
                "adversarial/test_hellos.py::test_client_hello",
                "handshake.server._choose_version",
                "data is not None and hello.legacy_version <= _SSL3",
            ),
            without(
                "adversarial/test_records.py::test_first_bytes",
                "record.framing.check_header",
                "not begins_like_tls(start)",
            ),
        ),
        ("end_to_end/test_registry.py::test_what_a_server_takes",),
    ),
    Threat(
        _DOWNGRADE,
        "MD5 and SHA-1, and signature schemes nobody offered (SLOTH, CVE-2025-11934)",
        "A scheme counts only if this side named it, the version has it, and it fits the key: in "
        "TLS 1.3 a curve goes with its one hash, and PKCS #1 v1.5 with nothing.",
        (
            without(
                "adversarial/test_authentication.py::test_rsa_pkcs1_signature",
                "handshake.tls13.authentication.check_certificate_verify",
                "raise ProtocolError(Fault.UNOFFERED_SIGNATURE_SCHEME, ...)",
            ),
            without(
                "adversarial/test_authentication12.py::test_right_signature_with_sha1",
                "handshake.tls12.authentication._check",
                "raise ProtocolError(Fault.UNOFFERED_SIGNATURE_SCHEME, ...)",
            ),
            without(
                "adversarial/test_authentication.py::test_certificate_verify",
                "handshake.tls13.authentication.check_certificate_verify",
                "raise ProtocolError(Fault.WRONG_SIGNATURE_SCHEME_FOR_KEY, ...)",
            ),
        ),
        (
            "crypto/test_signatures.py::test_forbidden_schemes_are_not_in_the_table",
            "crypto/test_signatures.py::test_a_curve_is_bound_to_its_hash_in_tls13_only",
            "certificates/test_verify.py::TestRefused::test_sha1_signature",
        ),
    ),
    Threat(
        _DOWNGRADE,
        "Compression (CRIME), heartbeat, renegotiation",
        "Null compression alone is offered and taken. There is no heartbeat. Renegotiation is "
        "declined, the RFC 5746 extension is demanded, and a peer that asks too often is refused.",
        (
            without(
                "adversarial/test_hellos.py::test_client_hello",
                "handshake.tls13.client_hello.read_offer",
                "raise ProtocolError(Fault.COMPRESSION_CHOSEN, ...)",
            ),
            without(
                "adversarial/test_hellos12.py::test_server_hello",
                "handshake.tls12.server_hello._check_renegotiation_info",
                "raise ProtocolError(Fault.SECURE_RENEGOTIATION_MISSING, ...)",
                "return",
            ),
            without(
                "adversarial/test_renegotiation12.py::test_asking_without_end",
                "handshake.tls12.post.PostHandshake12.receive",
                "raise ProtocolError(Fault.RENEGOTIATION, ...)",
            ),
        ),
        (
            "adversarial/test_renegotiation12.py::test_declined",
            "adversarial/test_renegotiation12.py::test_going_on_all_the_same",
            "adversarial/test_hellos.py::test_encrypted_extensions",
        ),
    ),
    Threat(
        _DOWNGRADE,
        "Lengths that tell secrets (BREACH)",
        "What an application compresses is its own affair; records can be padded to hide lengths.",
        (
            without(
                "end_to_end/test_data.py::test_padding",
                "record.dressed.PaddedWriter._padding_for",
                "max(0, min(wanted, self._protection.limit - size))",
                "0",
            ),
            without(
                "end_to_end/test_data.py::test_padding",
                "record.layer.RecordLayer.establish",
                "self.writer is self.write_key",
                "True",
            ),
        ),
        ("record/test_layer.py::test_padding_to_a_multiple",),
    ),
    Threat(
        _DOWNGRADE,
        "Weak suites: RC4, 3DES, NULL, anonymous",
        "The table holds AEAD suites alone, those of TLS 1.2 with ECDHE (and, by name, RSA key "
        "transport). Nothing else can be configured, and CCM with short tags does not exist here.",
        (
            without(
                "test_config.py::test_what_cannot_be_honoured_raises",
                "config.checks.check_shared",
                'check_known("cipher_suites", config.cipher_suites, CIPHER_SUITES | '
                "CIPHER_SUITES12)",
                "pass",
            ),
        ),
        (
            "end_to_end/test_registry.py::test_nothing_else_can_be_configured",
            "crypto/test_suites.py::test_no_default_is_without_forward_secrecy",
        ),
    ),
    Threat(
        _RECORDS,
        "BEAST, and whatever else TLS 1.0 and 1.1 allow",
        "TLS 1.2 is the oldest version there is.",
        (
            without(
                "adversarial/test_hellos12.py::test_older_server",
                "handshake.client.check_version",
                "version == TLS12 and name in config.versions",
                "True",
            ),
        ),
        ("adversarial/test_hellos12.py::test_older_client",),
    ),
    Threat(
        _RECORDS,
        "Lucky 13, POODLE and other padding oracles",
        "There is no CBC: every suite is an AEAD.",
        (),
        (
            "crypto/test_suites.py::test_the_suites_of_tls12",
            "crypto/test_suites.py::test_the_table_of_appendix_b_4",
            "end_to_end/test_registry.py::test_nothing_else_can_be_configured",
        ),
    ),
    Threat(
        _RECORDS,
        "Forged, empty or short ciphertexts, cut tags, repeated nonces (CVE-2026-75803)",
        "Nothing is content that the AEAD has not opened. What is too short for a tag and a type "
        "is refused before. Nonces count, and keys change long before they end.",
        (
            without(
                "record/test_protection13.py::test_an_empty_inner_plaintext_is_too_short",
                "record.protection13.Protection13.open",
                "raise ProtocolError(Fault.BAD_RECORD_MAC, ...)",
            ),
            Proof(
                "record/test_protection13.py::test_a_key_ends_before_its_counter_wraps",
                (
                    Edit(
                        "record.protection13.Protection13.seal",
                        "raise ProtocolError(Fault.KEY_EXHAUSTED, ...)",
                        "pass",
                    ),
                    Edit(
                        "record.protection13.Protection13.open",
                        "raise ProtocolError(Fault.KEY_EXHAUSTED, ...)",
                        "pass",
                    ),
                ),
            ),
        ),
        (
            "record/test_protection12.py::test_too_short_for_any_record",
            "end_to_end/test_data.py::test_keys_change_before_their_limit",
        ),
    ),
    Threat(
        _RECORDS,
        "Games with type, version and length",
        "Unknown types, contents of padding alone and every size above the bounds end the "
        "connection, each with the alert that its RFC names.",
        (
            without(
                "adversarial/test_records.py::test_content_too_long_inside",
                "record.protection13.split_inner_plaintext",
                "raise ProtocolError(Fault.RECORD_OVERFLOW, ...)",
            ),
            without(
                "adversarial/test_records.py::test_announced_length_is_enough",
                "record.framing.check_header",
                "raise ProtocolError(Fault.RECORD_OVERFLOW, ...)",
            ),
        ),
        (
            "adversarial/test_records.py::test_nothing_but_padding",
            "adversarial/test_records.py::test_other_record_type_inside",
            "adversarial/test_records12.py::test_type_changed_on_the_way",
        ),
    ),
    Threat(
        _RECORDS,
        "Truncation",
        "The end of the transport without close_notify is an error, unless the config says "
        "otherwise. What comes after close_notify is not read.",
        (
            without(
                "end_to_end/test_data.py::test_truncation",
                "connection.Connection.receive_eof",
                "self._unread or not self._config.allow_truncation",
            ),
        ),
        (
            "end_to_end/test_data.py::test_data_after_close_notify_is_dropped",
            "adapters/test_sockets.py::test_the_end_of_the_transport_is_not_the_end_of_the_data",
            "adapters/test_asyncio.py::test_the_end_of_the_transport_is_not_the_end_of_the_data",
        ),
    ),
    Threat(
        _RECORDS,
        "Keys used for too long, or after KeyUpdate",
        "A key is changed before it has protected what its AEAD bears, whatever a setting allows; "
        "the peer is asked to do the same, and the old key is gone at once. Where a key cannot be "
        "changed (TLS 1.2, a handshake, early data) nothing more is sent. Every record counts, "
        "also of tickets, and warnings that a peer asks for. A key that seals tickets seals none "
        "itself: each has one derived for it.",
        (
            without(
                "adversarial/test_key_limits.py::test_the_smaller_of_both_holds",
                "record.layer.RecordLayer.install_write",
                "min(self._most_records, secret.suite.record_limit)",
                "self._most_records",
            ),
            without(
                "end_to_end/test_short_ways.py::test_keys_change_before_their_limit",
                "record.layer.RecordLayer.install_write",
                "write.until = end - RESERVED_RECORDS",
            ),
            without(
                "adversarial/test_key_limits.py::test_no_suite_allows_more_than_its_cipher_bears",
                "crypto.suites._suite12",
                "2**48 if is_chacha else 2**24",
                "2**63",
            ),
            without(
                "adversarial/test_key_limits.py::test_a_connection_of_tls12_ends_with_its_keys",
                "connection.Connection._send_any_data",
                "raise ProtocolError(Fault.KEY_EXHAUSTED, ...)",
            ),
            without(
                "adversarial/test_key_limits.py::test_early_data_do_not_wear_their_key_out",
                "client.ClientConnection.early_data_limit",
                "max(0, min(self._early_limit - self._early_size, room))",
                "self._early_limit - self._early_size",
            ),
            without(
                "adversarial/test_key_limits.py::test_tickets_keep_to_the_setting",
                "handshake.tls13.post.PostHandshake13.send_tickets",
                "len(message) > records.room",
            ),
            without(
                "adversarial/test_key_limits.py::test_tickets_do_not_wear_a_key_out",
                "handshake.tls13.post.PostHandshake13.send_tickets",
                "len(message) > records.room",
            ),
            without(
                "adversarial/test_key_limits.py::test_a_ticket_that_no_key_bears_is_not_sent",
                "handshake.tls13.post.PostHandshake13.send_tickets",
                "len(message) > records.room_of_a_key",
            ),
            without(
                "adversarial/test_key_limits.py::test_a_handshake_keeps_to_the_setting",
                "record.layer.RecordLayer.install_write",
                "min(self._most_records, secret.suite.record_limit)",
                "secret.suite.record_limit",
            ),
            without(
                "adversarial/test_key_limits.py::test_a_handshake_keeps_to_the_setting",
                "record.layer.RecordLayer._seal_fragments",
                "raise ProtocolError(Fault.KEY_EXHAUSTED, ...)",
            ),
            without(
                "adversarial/test_key_limits.py::test_nor_past_a_setting",
                "handshake.tls12.post.PostHandshake12.receive",
                "raise ProtocolError(Fault.KEY_EXHAUSTED, ...)",
            ),
            without(
                "adversarial/test_key_limits.py"
                "::test_alerts_that_a_peer_asks_for_do_not_wear_a_key_out",
                "handshake.tls12.post.PostHandshake12.receive",
                "raise ProtocolError(Fault.KEY_EXHAUSTED, ...)",
            ),
            without(
                "adversarial/test_key_limits.py::test_nor_does_an_alert",
                "record.layer.RecordLayer.send_alert",
                "self._seal_fragments(_ALERT, alert)",
                "self.out.append(self.writer.seal(_ALERT, alert))",
            ),
            without(
                "adversarial/test_key_limits.py"
                "::test_refused_early_data_are_so_many_guesses_and_no_more",
                "record.dressed.EarlyDataBudget.__init__",
                "max(HEADER_SIZE, budget >> 20)",
                "HEADER_SIZE",
            ),
            without(
                "crypto/test_derived_key_aead.py::test_each_nonce_and_each_use_has_its_own_key",
                "crypto.derived_key_aead.DerivedKeyAead._derived",
                "self._head + nonce + FIRST_BLOCK",
                "self._head + bytes(NONCE_SIZE) + FIRST_BLOCK",
            ),
            without(
                "adversarial/test_floods.py::test_data_under_the_old_keys",
                "handshake.tls13.post.PostHandshake13._receive_key_update",
                "self._records.install_read(Epoch.APPLICATION, self._receive_secret)",
                "pass",
            ),
            without(
                "end_to_end/test_data.py::test_keys_change_before_their_limit",
                "connection.Connection._send_any_data",
                "len(view) <= records.room",
                "True",
            ),
        ),
        (
            "end_to_end/test_data.py::test_the_peer_is_asked_for_new_keys",
            "adversarial/test_key_limits.py::test_keys_change_before_what_the_cipher_bears",
            "adversarial/test_key_limits.py::test_the_other_side_may_go_on",
        ),
    ),
    Threat(
        _EXCHANGE,
        "Oracles about RSA key transport (Bleichenbacher, ROBOT, Marvin)",
        "It is off. Where it is on, a bad ciphertext becomes a random secret by the same steps as "
        "a good one, and only the wrong Finished shows.",
        (
            without(
                "adversarial/test_key_transport12.py::test_every_bad_one",
                "handshake.tls12.key_transport.receive_secret",
                "return Secret((instead, candidate)[well_formed])",
                "if not well_formed:\n    hs.install_read(None, None)\nreturn Secret(candidate)",
            ),
        ),
        (
            "end_to_end/test_tls12.py::test_key_transport_is_off",
            "adversarial/test_key_transport12.py::test_the_same_calls",
            "adversarial/test_key_transport12.py::test_every_failure_of_a_signer",
        ),
    ),
    Threat(
        _EXCHANGE,
        "Raccoon: leading zeros of a shared secret",
        "There are no finite-field groups; coordinates keep their leading zeros, and each private "
        "key is used once.",
        (
            without(
                "crypto/test_groups.py::test_coordinates_keep_their_leading_zeros",
                "crypto.groups._EllipticCurveShare.__init__",
                'numbers.x.to_bytes(coordinate_size, "big")',
                'numbers.x.to_bytes((numbers.x.bit_length() + 7) // 8, "big")',
            ),
        ),
        ("crypto/test_groups.py::test_each_exchange_is_new",),
    ),
    Threat(
        _EXCHANGE,
        "Points off the curve, small subgroups, zero secrets, bad ML-KEM keys, keys used twice",
        "Every share is held to its form and size, the primitive refuses what is not a valid "
        "public value, and its refusal becomes illegal_parameter.",
        (
            without(
                "crypto/test_groups.py::test_only_the_uncompressed_form_is_a_share",
                "crypto.groups._EllipticCurveShare.agree",
                "raise BadShare(...)",
            ),
            without(
                "adversarial/test_key_shares.py::test_of_a_server",
                "handshake.tls13.server_hello.agree",
                "BadShare",
                "KeyError",
            ),
        ),
        (
            "adversarial/test_key_shares.py::test_of_a_client",
            "crypto/test_groups.py::test_points_of_small_order_are_refused",
            "crypto/test_groups.py::test_unreduced_ml_kem_keys_are_refused",
            "end_to_end/test_one_time.py::test_nothing_ever_repeats",
        ),
    ),
    Threat(
        _EXCHANGE,
        "Leaks of nonces (Minerva), faulty RSA signatures",
        "OpenSSL does the arithmetic. A signature of a key elsewhere is verified before it leaves "
        "this side, since a faulty one can give the key away.",
        (
            without(
                "end_to_end/test_questions.py::test_wrong_signature_of_a_remote_signer_never_leaves",
                "handshake.signing.sign",
                "not isinstance(signer, LocalSigner)",
            ),
        ),
    ),
    Threat(
        _EXCHANGE,
        "Triple handshake",
        "TLS 1.2 needs the extended master secret, in the first handshake and in each resumption; "
        "without it (an explicit setting) there are no channel bindings and no sessions.",
        (
            without(
                "adversarial/test_hellos12.py::test_without_the_extended_master_secret",
                "handshake.tls12.server_hello.check_server_hello",
                "raise ProtocolError(Fault.EXTENDED_MASTER_SECRET_MISSING, ...)",
            ),
            without(
                "end_to_end/test_tls12.py::test_no_keys_without_the_extended_master_secret",
                "handshake.exporting._require_extended_master_secret",
                "raise ConfigurationError(...)",
            ),
        ),
        ("adversarial/test_resumption12.py::test_extended_master_secret_lost_on_the_way",),
    ),
    Threat(
        _EXCHANGE,
        "Selfie: a key that is used in both roles",
        "An external key can be imported with the names of both ends (RFC 9258): then it is "
        "another one in each direction. The documentation says not to share a plain one.",
        (
            without(
                "end_to_end/test_external_psks.py::test_names_tell_directions_apart",
                "sessions.psk.PreSharedKey.imported",
                "opaque8(client) + opaque8(server)",
                'b"names"',
            ),
        ),
        ("sessions/test_psk.py::test_everything_makes_another_key",),
    ),
    Threat(
        _EXCHANGE,
        "Binders: missing, wrong, too many (CVE-2026-1584, CVE-2025-11932)",
        "As many as identities, in the last extension, compared in constant time. A wrong one ends "
        "the handshake; an identity that is not known means a full one.",
        (
            without(
                "adversarial/test_resumption.py::test_a_binder_with_a_wrong_bit",
                "handshake.tls13.psk.check_binder",
                "raise ProtocolError(Fault.BAD_BINDER, ...)",
            ),
            without(
                "adversarial/test_resumption.py::test_not_the_last_extension",
                "handshake.tls13.resumption.read_psks",
                "raise ProtocolError(Fault.ILLEGAL_VALUE, ...)",
            ),
            without(
                "adversarial/test_resumption.py::test_more_binders_than_keys",
                "wire.extensions.read_offered_psks",
                "raise ProtocolError(Fault.ILLEGAL_VALUE, ...)",
            ),
        ),
        ("end_to_end/test_external_psks.py::test_an_unknown_key",),
    ),
    Threat(
        _RESUMPTION,
        "Forged tickets, ticket keys that are known or old (CVE-2020-13777)",
        "Tickets are sealed under random keys that change by themselves, and end after seven days "
        "at the latest. A key whose time is over cannot be derived again, though forked processes "
        "agree upon all later ones. A key of the application opens and seals in its time only. "
        "What cannot be opened is no ticket, and no error. A key of zeros raises, be it a ticket "
        "key, a pre-shared key or the wrapping key of a fleet.",
        (
            without(
                "end_to_end/test_resumption.py::test_a_key_whose_time_is_over_opens_nothing",
                "handshake.hooks.opening_keys",
                "now < key.opens_until",
                "True",
            ),
            without(
                "end_to_end/test_resumption.py::test_a_key_whose_time_is_over_seals_nothing",
                "handshake.hooks.sealing_keys",
                "key.seals_from <= now < key.opens_until",
                "True",
            ),
            without(
                "sessions/test_ticket_keys.py::test_times_are_numbers_of_seconds_in_their_order",
                "sessions.ticket_keys.TicketKey.__post_init__",
                "not abs(time_of_use) < _LATEST",
            ),
            without(
                "sessions/test_ticket_keys.py::test_no_key_of_zeros",
                "sessions.ticket_keys.TicketKey.__post_init__",
                "not any(self.key)",
            ),
            without(
                "sessions/test_psk.py::test_no_key_of_zeros",
                "sessions.psk.PreSharedKey.__post_init__",
                "not any(self.key)",
            ),
            without(
                "sessions/test_tickets.py::test_any_changed_bit_is_noticed",
                "sessions.tickets.open_ticket",
                "(InvalidTag, ProtocolError, UnicodeDecodeError)",
                "UnicodeDecodeError",
            ),
            without(
                "sessions/test_ticket_keys.py"
                "::test_then_another_that_seals_while_the_old_one_opens",
                "sessions.ticket_keys.TicketKeys.keys",
                "period.since <= now < period.until",
                "period.keys",
            ),
            without(
                "sessions/test_ticket_keys.py::test_what_is_over_cannot_be_derived_again",
                "sessions.ticket_keys.TicketKeys._period_at",
                "tree = tree.since(max(oldest, tree.first))",
            ),
            without(
                "sessions/test_key_tree.py::test_what_was_before_is_gone",
                "sessions.key_tree.KeyTree.since",
                "node.end > period",
                "kept.append(node)",
            ),
        ),
        (
            "sessions/test_tickets.py::test_no_bytes_raise",
            "end_to_end/test_resumption.py::test_a_proof_of_identity_does_not_last_for_ever",
            "adversarial/test_resumption.py::test_changed_tickets_mean_a_full_handshake",
        ),
    ),
    Threat(
        _RESUMPTION,
        "A session of one place resumed in another (CVE-2025-23419, CVE-2025-68121)",
        "A ticket is bound to name, ALPN, client authentication, trust and context of its config, "
        "and lets nobody in where pre-shared keys are the only way, or where the name is refused. "
        "A client's certificates are verified anew each time, by the limits and signature schemes "
        "of now as well.",
        (
            without(
                "end_to_end/test_resumption.py::test_other_circumstances",
                "handshake.tls13.resumption.refusal_of",
                "state.binding != config.derived.binding",
            ),
            without(
                "end_to_end/test_resumption.py::test_a_client_that_is_no_longer_trusted",
                "handshake.defaults.ServerAnswers.reverify",
                "_answer_or(None, lambda: verify(question), VerifiedPeer)",
                "accept_unverified(question.chain_der)",
            ),
            without(
                "adversarial/test_foreign_sessions.py::test_a_ticket_is_no_way_around_a_key",
                "config.sessions.prepare_sessions",
                "bool(config.tickets) and not has_psks_only(config)",
                "bool(config.tickets)",
            ),
            without(
                "adversarial/test_refused_names.py::test_a_certificate_that_would_not_be_taken_now",
                "config.sessions._binding",
                "config.client_auth is not ClientAuth.NONE",
            ),
            without(
                "adversarial/test_refused_names.py::test_a_certificate_that_would_not_be_taken_now",
                "handshake.tls13.resumption.refusal_of",
                "len(chain) > limits.max_certificates",
            ),
        ),
        (
            "end_to_end/test_resumption.py::test_who_was_not_asked_is_asked",
            "end_to_end/test_resumption.py::test_a_verdict_on_another_client",
        ),
    ),
    Threat(
        _RESUMPTION,
        "A session of another version or hash",
        "A session holds both, and is offered and taken only where they are the same.",
        (
            without(
                "end_to_end/test_resumption.py::test_another_hash",
                "handshake.tls13.resumption.resume_client",
                "psk.suite.hash_name != suite.hash_name",
            ),
            without(
                "adversarial/test_resumption.py::test_a_key_of_another_hash",
                "handshake.tls13.server_hello.selected_psk",
                "psk.suite.hash_name != suite.hash_name",
            ),
        ),
        ("end_to_end/test_resumption.py::test_another_version",),
    ),
    Threat(
        _RESUMPTION,
        "Early data, replayed or confused with other data",
        "Off, and apart from other data by calls and events of their own. Each ticket once, within "
        "seconds of its age, up to a size; not after a retry, nor for another protocol or suite. "
        "The memory belongs to the ticket keys, whichever configs share them, and is asked besides "
        "any other guard; for keys that others may have, a memory of one process raises. Where a "
        "clock is set back, what was forgotten is not taken again; and a fleet's memory counts "
        "only while Redis's clock agrees with the server's, and for the process of Redis that "
        "began it: one that is started again from a snapshot, or a replica that takes over, may "
        "lack flights.",
        (
            without(
                "adversarial/test_replays.py::test_configs_with_the_same_keys_take_it_once",
                "config.sessions._choose_replay_guard",
                'getattr(keys, "replay_filter", None)',
                "ReplayFilter(remembers_from=0.0)",
            ),
            without(
                "adversarial/test_replays.py::test_configs_with_the_same_keys_take_it_once",
                "config.sessions._choose_replay_guard",
                "guard is not memory",
                "isinstance(guard, ReplayFilter) and guard is not memory",
            ),
            without(
                "adversarial/test_replays.py::test_forked_processes_take_it_once_by_a_guard_of_all",
                "sessions.replay.ReplayFilter.add_guard",
                "self._guards_differ = True",
            ),
            without(
                "adversarial/test_replays.py::test_two_filters_that_do_not_know_of_each_other",
                "handshake.tls13.resumption.why_not_early_data",
                "is_first and memory is not None",
            ),
            without(
                "adversarial/test_replays.py"
                "::test_keys_from_elsewhere_need_a_guard_that_is_as_wide",
                "config.sessions._choose_replay_guard",
                "raise ConfigurationError(...)",
            ),
            without(
                "adversarial/test_replays.py::test_forked_processes_take_none",
                "sessions.replay.ReplayFilter.is_first",
                "this_process() != self._process",
            ),
            without(
                "adversarial/test_replays.py::test_a_clock_that_is_set_back_takes_nothing_again",
                "sessions.replay.ReplayFilter.is_first",
                "self._note_forgotten(at)",
                "pass",
            ),
            without(
                "redis/test_replay.py::test_a_redis_that_is_ahead_has_forgotten_too_early",
                "redis.marks.Marks.judge",
                "was_set and not _REMEMBERED - _DIFFER < mark_left < _REMEMBERED + _DIFFER",
            ),
            without(
                "redis/test_replay.py::test_a_redis_that_is_ahead_has_forgotten_too_early",
                "redis.marks.Marks.judge",
                "Answer(repair=self._begin_again, trouble=_clocks_differ(mark_left))",
                "Answer(trouble=_clocks_differ(mark_left))",
            ),
            without(
                "redis/test_replay.py"
                "::test_a_redis_that_starts_from_a_snapshot_has_forgotten_the_rest",
                "redis.marks.Marks.judge",
                "text_of(memory) != run_id or since is None",
                "since is None",
            ),
            without(
                "sessions/test_replay.py::test_a_clock_that_was_far_ahead_does_not_stop_it_for_long",
                "sessions.replay.ReplayFilter.is_first",
                "abs(now - at)",
                "now - at",
            ),
            without(
                "end_to_end/test_zero_rtt.py::test_a_captured_flight_is_not_taken_twice",
                "handshake.tls13.resumption.why_not_early_data",
                "await hs.ask(CheckReplay(token, created_at))",
                "True",
            ),
            without(
                "adversarial/test_resumption.py::test_too_much_early_data",
                "record_loop.RecordLoop._receive_early_data",
                "raise ProtocolError(Fault.TOO_MUCH_EARLY_DATA, ...)",
            ),
            without(
                "end_to_end/test_zero_rtt.py::test_another_protocol_than_before",
                "handshake.tls13.resumption._why_unfit",
                'state.alpn != (alpn or "")',
            ),
        ),
        (
            "redis/test_replay.py::test_a_memory_does_not_get_older_by_a_clock_that_is_set_right",
            "end_to_end/test_zero_rtt.py::test_off_unless_both_want_it",
            "sessions/test_replay.py::test_each_flight_counts_once",
            "adversarial/test_early_data.py::test_early_data_without_end",
        ),
    ),
    Threat(
        _RESUMPTION,
        "A recorded first flight that makes the application act upon a client that is not there",
        "confirm_peer is asked after Finished, which no recording can make. Early data of a client "
        "that it has to confirm are refused, or by a setting asked about first, as replayable. "
        "What is asked before, about certificates and keys, says that nothing is proved yet.",
        (
            without(
                "adversarial/test_replays.py"
                "::test_a_recorded_hello_tells_nobody_that_alice_is_there",
                "handshake.tls13.resumption.resume_client",
                "client = await verify_client_again(hs, chain, certificate_type)",
                "client = await verify_client_again(hs, chain, certificate_type)\n"
                "await hs.ask(ConfirmPeer(client, False, None))",
            ),
            without(
                "adversarial/test_replays.py::test_it_is_asked_after_the_clients_finished",
                "handshake.tls12.server.complete_server_handshake",
                "hs.transcript.forget_messages()",
                "await confirm_peer(hs, config, verified, peer_is_server=False, server_name=None)\n"
                "hs.transcript.forget_messages()",
            ),
            without(
                "adversarial/test_replays.py::test_what_it_says_counts_after_finished",
                "handshake.tls13.server.complete_server_handshake",
                "await confirm_peer(hs, config, verified, peer_is_server=False, server_name=None)",
                "pass",
            ),
            without(
                "adversarial/test_replays.py"
                "::test_early_data_of_a_client_that_is_to_be_confirmed_are_refused",
                "handshake.tls13.resumption.why_not_early_data",
                "confirms and not config.confirm_early_data",
            ),
            without(
                "adversarial/test_replays.py::test_there_a_no_refuses_the_data_and_not_the_client",
                "handshake.tls13.resumption.why_not_early_data",
                "not confirms or client is None",
                "True",
            ),
        ),
        (
            "adversarial/test_replays.py"
            "::test_by_name_it_is_asked_before_early_data_and_told_what_is_not_known",
            "adversarial/test_replays.py::test_what_is_asked_before_the_proof",
            "adversarial/test_resumption12.py::test_somebody_who_overheard_the_name",
        ),
    ),
    Threat(
        _RESUMPTION,
        "Early data for a server that the client would refuse by now",
        "The certificates of before are verified again before anything is sent. Callbacks that "
        "have no say before that raise when the config is built, unless a setting allows it by "
        "name.",
        (
            without(
                "adversarial/test_replays.py::test_early_data_before_a_callback_has_a_say",
                "config.sessions.check_early_data_callbacks",
                "config.allow_early_data and asked and not config.early_data_before_callbacks",
            ),
        ),
        ("end_to_end/test_resumption.py::test_a_server_that_is_no_longer_trusted",),
    ),
    Threat(
        _IDENTITY,
        "A peer without proof: no certificate, no CertificateVerify (CVE-2024-45159)",
        "Where a certificate is required, there is no handshake without; where one came, its "
        "signature must follow. A verdict is an exception or a proof, not a flag to look at.",
        (
            without(
                "adversarial/test_authentication.py::test_no_certificate_of_a_client",
                "handshake.tls13.client_authentication.receive_client_authentication",
                "raise ProtocolError(Fault.CLIENT_CERTIFICATE_MISSING, ...)",
            ),
            without(
                "adversarial/test_authentication.py::test_no_certificate_of_a_server",
                "handshake.tls13.client._receive_server_authentication",
                "raise ProtocolError(Fault.EMPTY_SERVER_CERTIFICATE, ...)",
            ),
        ),
        (
            "adversarial/test_authentication.py::test_no_certificate_but_a_signature",
            "adversarial/test_authentication12.py::test_no_certificate_of_a_client",
            "adversarial/test_certificates.py::test_a_raw_key_without_its_proof",
        ),
    ),
    Threat(
        _IDENTITY,
        "A good certificate for another name (CVE-2025-27809, CVE-2026-42012)",
        "A client must say whom it expects. Only subjectAltName counts, addresses as addresses, "
        "wildcards as one whole label; names are compared in one normal form.",
        (
            without(
                "end_to_end/test_negotiation.py::test_client_needs_a_name",
                "client.check_server_name",
                "_needs_a_name(config)",
            ),
            without(
                "adversarial/test_authentication.py::test_server_of_another_name",
                "certificates.path._verified",
                "_subject(name)",
                'x509.DNSName("example.org")',
            ),
        ),
        (
            "certificates/test_verify.py::TestRefused::test_names_that_do_not_match",
            "certificates/test_verify.py::TestRefused::test_common_name_does_not_count",
            "certificates/test_names.py::test_covers",
            "trust/test_matrix.py::test_refused",
        ),
    ),
    Threat(
        _IDENTITY,
        "Holes in the building of paths (RUSTSEC-2026-0099, CVE-2025-61727)",
        "Paths are built by cryptography's verifier, with a policy of ours on top. What tells "
        "people about a chain has no verdict of its own, and its words are held against the "
        "decision on thousands of chains.",
        (
            without(
                "certificates/test_path.py::test_the_number_of_intermediates_is_bounded",
                "certificates.trust.TrustStore.path_builder",
                "builder.max_chain_depth(max_intermediates)",
                "builder",
            ),
            without(
                "cli/test_cert_verdict.py::test_a_name_that_is_excluded_among_many",
                "certificates.explanation._with_verdict",
                "isinstance(decision, CertificateError)",
                "isinstance(decision, CertificateError) and found.broken",
            ),
        ),
        (
            "vectors/test_limbo.py::test_the_decision_is_the_expected_one",
            "certificates/test_agreement.py::test_any_mixture_of_changes",
            "certificates/test_agreement.py::test_any_chain",
            "certificates/test_verdict.py::TestManyIssuers::test_the_default_limits_never_reach_the_bound",
            "certificates/test_verify.py::TestRefused::test_wrong_purpose",
        ),
    ),
    Threat(
        _IDENTITY,
        "Revoked certificates, and staples about something else (CVE-2026-28755)",
        "A staple is held to its signer, dates and certificate; a revocation in it ends the "
        "handshake. must-staple is honoured; lists and stricter policies can be set. What stands "
        "in an issuer's certificate, which a peer may have picked or, around a key that is known "
        "by itself (TLSA records), have made, never keeps a list from revoking.",
        (
            without(
                "adversarial/test_certificates.py::test_a_revoked_certificate_with_the_proof_of_it",
                "certificates.ocsp._decide",
                "raise CertificateError(Fault.CERTIFICATE_REVOKED, ...)",
            ),
            without(
                "adversarial/test_forged_issuers.py::test_a_revoked_leaf_that_a_record_names",
                "certificates.revocation_list.RevocationList.answer",
                "revocation and not is_verified",
            ),
            without(
                "adversarial/test_forged_issuers.py"
                "::test_a_revoked_leaf_below_an_authority_whose_key_a_record_names",
                "certificates.revocation_list.RevocationList.answer",
                "not problem and not revocation",
                "not problem",
            ),
            without(
                "adversarial/test_forged_issuers.py"
                "::test_a_cross_signed_authority_that_may_not_sign_lists_in_one_certificate",
                "certificates.revocation_list.RevocationList.answer",
                "not problem and not revocation",
                "not problem",
            ),
            without(
                "adversarial/test_forged_issuers.py"
                "::test_certificates_around_one_key_cost_one_check_of_the_list",
                "certificates.revocation_list.RevocationList._signature_problem",
                "public_key_info(issuer)",
                "issuer.tbs_certificate_bytes",
            ),
        ),
        (
            "adversarial/test_forged_issuers.py::test_what_nobody_vouches_for_excuses_nothing",
            "adversarial/test_forged_issuers.py::test_a_strangers_list_revokes_nothing_on_a_path",
            "adversarial/test_certificates.py::test_must_staple_without_a_staple",
            "adversarial/test_certificates.py::test_a_staple_about_somebody_else",
            "certificates/test_crl.py::TestAnswers::test_on_the_list",
        ),
    ),
    Threat(
        _IDENTITY,
        "A pre-shared key found under another name than the client's",
        "The key that find_psk returns has the identity that it was asked for, or the handshake "
        "fails: otherwise a connection would bear the name of another client.",
        (
            without(
                "end_to_end/test_external_psks.py::test_found_the_key_of_another_identity",
                "handshake.tls13.resumption.find_psks",
                "key is not None and key.identity != named.identity",
            ),
        ),
    ),
    Threat(
        _IDENTITY,
        "Data for a client that has shown nothing yet",
        "A server sends before the client's Finished only with a setting of that name, by a verb "
        "of its own, and never where clients are asked for a certificate.",
        (
            without(
                "end_to_end/test_half_rtt.py::test_not_where_clients_are_asked_who_they_are",
                "config.checks.check_half_rtt",
                "config.client_auth is not ClientAuth.NONE",
            ),
            without(
                "end_to_end/test_half_rtt.py::test_not_without_the_setting",
                "handshake.tls13.server.complete_server_handshake",
                "config.half_rtt_data",
                "True",
            ),
        ),
        (
            "end_to_end/test_half_rtt.py::test_not_at_any_other_time",
            "end_to_end/test_half_rtt.py::test_a_client_that_still_thinks_gets_nothing_before",
        ),
    ),
    Threat(
        _IDENTITY,
        "A certificate used against its keyUsage",
        "A leaf must be allowed to sign, and to encipher for key transport; its curve must fit "
        "the scheme.",
        (
            without(
                "adversarial/test_key_usage.py::test_a_server",
                "certificates.key_usage.may_sign",
                "all(map(_says_signatures, extension_values(leaf, _KEY_USAGE)))",
                "True",
            ),
            without(
                "certificates/test_verify.py::TestRefused::test_key_usage_without_digital_signature",
                "certificates.rules.use._key_usage",
                "not usage.digital_signature",
            ),
            without(
                "adversarial/test_authentication12.py::test_key_that_must_not_encipher",
                "handshake.tls12.key_transport.check_may_encipher",
                "not usage.key_encipherment",
            ),
        ),
    ),
    Threat(
        _IDENTITY,
        "A setting that is skipped on one path",
        "Every setting of a policy on every path (authorities, TLSA records, raw keys, "
        "verification off, callbacks, resumption, both ends) is honoured, refused with the config, "
        "or said not to apply, with the RFC's reason.",
        (
            without(
                "end_to_end/test_policy_paths.py::test_a_client",
                "certificates.decision._decide_chain",
                "_check_named_leaf(evidence, seen, others, context)",
                "_ = (evidence, seen, others, context)",
            ),
            without(
                "end_to_end/test_policy_paths.py::test_a_client",
                "handshake.peer.check_may_sign",
                "not peer.may_sign",
            ),
            without(
                "end_to_end/test_policy_paths.py::test_a_client",
                "config.certificates.check_verification",
                "not config.accepts_certificates",
            ),
            without(
                "end_to_end/test_policy_paths.py::test_a_server",
                "config.certificates.check_policy_for_clients",
                "policy.ct_logs",
            ),
            without(
                "end_to_end/test_policy_paths.py::test_timestamps_are_asked_for_where_staples_are_not",
                "handshake.offer.static_extensions",
                "bool(config.policy.ct_logs)",
            ),
            without(
                "certificates/test_decision.py::TestTheRecordOfTheLeaf::test_a_peer_that_leaves_its_issuer_out_gains_nothing",
                "certificates.revocation_list.RevocationList.answer",
                "revocation and not is_verified",
            ),
        ),
        (
            "end_to_end/test_policy_paths.py::test_every_field_of_a_policy_has_a_case",
            "end_to_end/test_policy_paths.py::test_a_session_from_before_the_policy_is_not_offered",
        ),
    ),
    Threat(
        _IDENTITY,
        "Connections moved to another protocol or host (ALPACA)",
        "With ALPN on both sides and nothing in common there is no handshake; a client takes only "
        "what it offered; a server can refuse names that it does not serve, and "
        "then takes no session and no pre-shared key for them either.",
        (
            without(
                "end_to_end/test_negotiation.py::test_alpn_without_overlap",
                "handshake.negotiation.choose_application_protocol",
                "raise disagreement(Fault.NO_SHARED_APPLICATION_PROTOCOL, ...)",
                "return None",
            ),
            without(
                "adversarial/test_hellos.py::test_encrypted_extensions",
                "handshake.negotiation.read_selected_protocol",
                "raise ProtocolError(Fault.UNOFFERED_APPLICATION_PROTOCOL, ...)",
            ),
            without(
                "end_to_end/test_negotiation.py::test_strict_server_name",
                "handshake.negotiation.choose_server_credentials",
                "raise ProtocolError(Fault.UNRECOGNIZED_NAME, ...)",
            ),
            without(
                "adversarial/test_refused_names.py::test_a_session_is_no_way_to_a_name",
                "handshake.tls12.server._check_resumption",
                "config.refuses_names",
            ),
            without(
                "adversarial/test_refused_names.py::test_a_session_is_no_way_to_a_name",
                "handshake.tls13.identity.identify",
                "config.refuses_names",
            ),
            without(
                "adversarial/test_refused_names.py::test_a_pre_shared_key_is_none_either",
                "handshake.tls13.identity.identify",
                "config.refuses_names",
                "config.refuses_names and known.psk.external is None",
            ),
            without(
                "adversarial/test_refused_names.py::test_early_data_for_such_a_name_reach_nobody",
                "handshake.tls13.identity.identify",
                "config.refuses_names",
            ),
        ),
    ),
    Threat(
        _IDENTITY,
        "Names and sessions in the outer hello of ECH (CVE-2026-42505)",
        "With Encrypted Client Hello, the outer hello is made of the public name and of what every "
        "hello of the config has. Keys of sessions and external keys stand in the inner one alone, "
        "and random bytes of the same lengths in their place; so do the authorities of the server "
        "and the types of its certificate. Padding hides the length of a name, and the extensions "
        "have the order, sizes and values that they have with GREASE.",
        (
            without(
                "end_to_end/test_ech_hellos.py::test_what_tells_of_the_hidden_server_stands_inside_"
                "alone",
                "handshake.tls13.ech_offer._outer_config",
                "_for_any_server(anonymous)",
                "anonymous",
            ),
            without(
                "end_to_end/test_ech_hellos.py::test_a_hello_looks_like_one_with_grease",
                "handshake.tls13.ech_offer._outer_draft",
                "extensions.pop(_PSK_KEY_EXCHANGE_MODES, None)",
            ),
            without(
                "end_to_end/test_ech_hellos.py::test_a_hello_looks_like_one_with_grease",
                "handshake.tls13.ech_offer._outer_config",
                "config.allow_psk_ke and config.sessions is not None",
            ),
            without(
                "end_to_end/test_ech.py::test_the_outer_hello_names_no_session",
                "handshake.tls13.ech_offer._grease_psks",
                "entropy(len(each.identity))",
                "each.identity",
            ),
            without(
                "end_to_end/test_ech_hellos.py::test_grease_keys_are_others_each_time",
                "handshake.tls13.ech_offer._grease_psks",
                "entropy(each.suite.hash_size)",
                "bytes(each.suite.hash_size)",
            ),
            without(
                "end_to_end/test_ech_hellos.py::test_both_hellos_keep_the_rules",
                "handshake.tls13.ech_offer.encrypted_offer",
                "config.entropy(32)",
                "outer.hello.random",
            ),
            without(
                "end_to_end/test_ech.py::test_accepted",
                "handshake.tls13.ech_offer.encrypted_offer",
                "client_offer(outer_config(config), encryption.config.public_name, None, hs)",
                "client_offer(outer_config(config), server_name, None, hs)",
            ),
            without(
                "wire/test_ech.py::test_padding_hides_the_length_of_the_name",
                "wire.ech.encode_inner_hello",
                "encoded.ljust(size + -size % _PADDED_TO, b'\\0')",
                "encoded",
            ),
        ),
        (
            "end_to_end/test_ech.py::test_external_keys_stay_inside",
            "end_to_end/test_ech_hellos.py::test_sessions_and_early_data_are_offered_inside_alone",
            "end_to_end/test_ech_hellos.py::test_a_session_of_tls12_is_offered_in_neither_hello",
        ),
    ),
    Threat(
        _IDENTITY,
        "Data for the hidden server that reach the public one (RUSTSEC-2026-0347)",
        "A handshake that the server goes on with after it rejected the encrypted hello is never "
        "established: it ends in an error once the server has proved its name, and what "
        "the program queued before stays here. The server gets no client certificate either.",
        (
            without(
                "end_to_end/test_ech.py::test_another_key_is_rejected_with_the_current_configs",
                "handshake.ech_client._reject",
                "raise EchRejectedError(...)",
                "return result",
            ),
            without(
                "adapters/test_ech.py::test_what_waits_for_the_handshake_is_not_sent",
                "handshake.ech_client._reject",
                "raise EchRejectedError(...)",
                "return result",
            ),
            without(
                "end_to_end/test_ech.py::test_a_server_that_rejects_gets_no_client_certificate",
                "handshake.ech_client._outer_handshake",
                "hs.answers = ClientAnswers(config, hs.trust, hs.trace)",
            ),
        ),
        ("end_to_end/test_ech.py::test_early_data_of_a_rejected_hello_go_nowhere",),
    ),
    Threat(
        _DOWNGRADE,
        "Later hellos that are weaker after somebody's ServerHello (RUSTSEC-2026-0349)",
        "A client remembers nothing of a handshake that failed: the groups and shares of its next "
        "hello are those of its config.",
        tests=(
            "adversarial/test_hellos.py::test_a_server_that_was_not_authenticated_changes_no_later_"
            "hello",
        ),
    ),
    Threat(
        _DOWNGRADE,
        "Encrypted Client Hello switched off, or another key given, by the network",
        "The library never connects in the clear after a rejection. The server's configurations "
        "count only if it proved to be the public name, by a certificate: the raw keys and TLSA "
        "records that the client has are the hidden server's, and one of them may be the "
        "attacker's own. A confirmation cannot be taken back. If a "
        "server's source of keys fails, so does the handshake: it never says then that ECH is off.",
        (
            without(
                "end_to_end/test_ech.py::test_without_verification_nothing_that_the_server_says_"
                "counts",
                "handshake.ech_client._reject",
                "hs.retry_configs and is_authentic",
                "hs.retry_configs",
            ),
            without(
                "end_to_end/test_ech.py::test_a_raw_key_that_the_client_knows_does_not_prove_the_"
                "public_name",
                "handshake.tls13.ech_offer._outer_config",
                "_for_any_server(anonymous)",
                "anonymous",
            ),
            without(
                "end_to_end/test_ech.py::test_a_client_that_takes_raw_keys_alone_believes_no_"
                "certificate",
                "handshake.tls13.ech_offer._for_any_server",
                "config.verify_peer and takes_certificates",
                "config.verify_peer",
            ),
            without(
                "end_to_end/test_ech.py::test_a_tlsa_record_does_not_prove_the_public_name",
                "handshake.tls13.ech_offer._for_any_server",
                "replace(config.policy, tlsa=(), pins=())",
                "config.policy",
            ),
            without(
                "adversarial/test_ech.py::test_a_server_that_confirms_in_its_retry_alone",
                "handshake.tls13.client_retry._send_encrypted",
                "raise ProtocolError(Fault.ECH_NOT_CONFIRMED)",
            ),
            without(
                "end_to_end/test_ech_keys.py::test_a_source_that_fails_does_not_say_that_there_is_"
                "no_ech",
                "handshake.ech_server.find_keys",
                "check_ech_keys(keys)",
            ),
        ),
        (
            "end_to_end/test_ech.py::test_a_server_that_is_not_the_public_name_says_nothing_that_"
            "counts",
            "adversarial/test_ech.py::test_a_server_that_rejects_and_does_not_finish",
            "adversarial/test_ech.py::test_tickets_of_a_server_that_rejects_are_not_kept",
        ),
    ),
    Threat(
        _DOWNGRADE,
        "Answers of the DNS that are held back or broken, so that a client does without ECH",
        "Only an answer that says so is a NoEchError. One that fails, is malformed or comes too "
        "late is an error of its own, after which nothing may be sent in the clear (RFC 9460 "
        "section 3.1).",
        (
            without(
                "dns/test_lookup.py::test_servers_that_fail",
                "dns.lookup._records",
                "code != dns.rcode.NOERROR",
            ),
        ),
        (
            "dns/test_lookup.py::test_malformed_records",
            "dns/test_lookup.py::test_servers_that_do_not_answer",
        ),
    ),
    Threat(
        _PARSER,
        "HTTPS records that lead to what is no host, or have more to explain than anybody reads",
        "A target that is no name of a host, or an address in any spelling, and port 0 make the "
        "record malformed. A few of the reasons why configurations cannot be used are named.",
        (
            without(
                "dns/test_lookup.py::test_places_where_nobody_can_connect",
                "dns.records._host",
                "raise DnsError.malformed(query, ...)",
            ),
            without(
                "dns/test_lookup.py::test_places_where_nobody_can_connect",
                "dns.records._endpoint",
                "given is not None and not given.port",
            ),
        ),
        ("dns/test_lookup.py::test_the_reasons_of_many_records_are_few",),
    ),
    Threat(
        _SERVICE,
        "Tickets and cookies for which the client's next hello has no room",
        "A longer ticket is not kept, and a longer cookie ends the handshake. The longest of both "
        "fit twice, in the outer and in the inner hello of Encrypted Client Hello.",
        (
            without(
                "sessions/test_session.py::test_whether_a_hello_has_room_for_it",
                "sessions.session.Session.can_be_named",
                "len(self.ticket) <= _MAX_TICKET",
                "True",
            ),
            without(
                "adversarial/test_retry.py::test_cookie_that_fits_into_no_hello",
                "handshake.tls13.client_retry._read_hello_retry_request",
                "cookie is not None and len(cookie) > _MAX_COOKIE",
            ),
        ),
        ("adversarial/test_ech.py::test_the_longest_ticket_and_cookie_fit_into_a_hello",),
    ),
    Threat(
        _SERVICE,
        "HTTPS records that lead in circles, and answers over HTTPS without an end",
        "A lookup follows four aliases in a row, reads as many bytes as a message of the DNS can "
        "have, and ends with its timeout.",
        (
            without(
                "dns/test_lookup.py::test_aliases_come_to_an_end",
                "dns.records._endpoint_steps",
                "range(MOST_ALIASES + 1)",
                "range(99)",
            ),
            without(
                "dns/test_lookup.py::test_http_answers_that_are_none",
                "dns.doh._check_size",
                "len(received) > _MOST_BYTES",
            ),
        ),
        ("dns/test_lookup.py::test_servers_that_do_not_answer",),
    ),
    Threat(
        _FILES,
        "PEM files with many beginnings and no end (CWE-1333, CWE-400)",
        "Blocks are found in one pass over the text, by the lines alone. Of a file with an ECH key "
        "or ECH configurations, a MiB is read.",
        (
            without(
                "certificates/test_pem.py::test_files_of_ech_are_bounded",
                "certificates.loading.read_source",
                "most is not None and len(data) > most",
            ),
        ),
        ("certificates/test_pem.py::test_beginnings_without_an_end_cost_linear_time",),
    ),
    Threat(
        _IDENTITY,
        "Inner hellos that are put together to learn what another one says (RFC 9849 10.12)",
        "The whole outer hello is authenticated with the inner one. A server refuses inner hellos "
        "that refer to the outer one in any but one order, offer older versions, or come in the "
        "clear; a second one must continue the first, under the same key.",
        (
            without(
                "wire/test_ech.py::test_encoded_hellos_that_break_a_rule",
                "wire.ech._referenced",
                "iter(outer.extensions.items())",
                "outer.extensions.items()",
            ),
            without(
                "adversarial/test_ech.py::test_an_outer_hello_that_was_changed_on_the_way_is_as_a_"
                "foreign_one",
                "wire.ech.outer_aad",
                "write_message(replace(outer, extensions=extensions))[HEADER_SIZE:]",
                "b''",
            ),
            without(
                "adversarial/test_ech.py::test_inner_hellos_that_are_none",
                "handshake.ech_server._inner_hello",
                "version < TLS13 and version in VERSION_NAMES",
            ),
            without(
                "adversarial/test_ech.py::test_an_inner_hello_in_the_clear",
                "handshake.ech_server._read",
                "raise ProtocolError(Fault.INNER_HELLO_IN_PLAINTEXT)",
                "return EncryptedHello((0, 0), 0, b'', b'')",
            ),
            without(
                "adversarial/test_ech.py::test_second_hellos_that_do_not_continue_the_first",
                "handshake.ech_server.receive_second_hello",
                "(encrypted.cipher_suite, encrypted.config_id, encrypted.enc) != before",
            ),
            without(
                "adversarial/test_ech.py::test_no_key_is_tried_on_the_second_hello_of_a_client_that_"
                "was_rejected",
                "handshake.ech_server.receive_second_hello",
                "_read(hello)",
                "hello = open_client_hello(hs, config, hello, config.ech_keys)",
            ),
        ),
        ("end_to_end/test_ech.py::test_the_same_id_with_another_key_is_as_an_unknown_id",),
    ),
    Threat(
        _IDENTITY,
        "Forged signatures (BERserk, psychic signatures, CurveBall, goto fail)",
        "Signatures are OpenSSL's affair, through cryptography; explicit curves do not parse, weak "
        "keys are refused, and a signature that does not hold ends the handshake.",
        (
            without(
                "adversarial/test_authentication.py::test_certificate_verify",
                "handshake.tls13.authentication.check_certificate_verify",
                "raise ProtocolError(Fault.BAD_SIGNATURE, ...)",
            ),
            without(
                "security/test_primitives.py::test_an_explicit_curve_that_is_trusted_itself",
                "certificates.key_bounds._curve_problem",
                "at < 0 or spki[after : after + 1] == _OBJECT_IDENTIFIER",
                "True",
            ),
            without(
                "certificates/test_key_bounds.py::test_bad_keys",
                "certificates.key_bounds._rsa_problem",
                "exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > "
                "MAX_RSA_EXPONENT_BITS",
            ),
        ),
        (
            "security/test_primitives.py::test_explicit_curves_are_no_keys",
            "security/test_primitives.py::test_signatures_that_are_none",
            "adversarial/test_authentication12.py::test_signature_of_a_server",
        ),
    ),
    Threat(
        _IDENTITY,
        "A signature or session of another role or channel (Opossum)",
        "64 spaces and the role's own context stand before what is signed. Applications can bind "
        "themselves to the channel by tls-exporter. There is no opportunistic TLS.",
        (
            without(
                "adversarial/test_authentication.py::test_context_of_the_other_role",
                "handshake.tls13.authentication.CLIENT_CONTEXT",
                '_PADDING + b"TLS 1.3, client CertificateVerify\\0"',
                "SERVER_CONTEXT",
            ),
        ),
        (
            "adversarial/test_authentication.py::test_signature_of_another_handshake",
            "end_to_end/test_data.py::test_channel_bindings",
        ),
    ),
    Threat(
        _SERVICE,
        "KeyUpdate floods and deadlocks (CVE-2026-56862)",
        "32 without data between them are enough. All requests together are answered once, when "
        "this side sends; a reader never waits for the peer to read.",
        (
            without(
                "adversarial/test_floods.py::test_key_update_flood",
                "handshake.tls13.post.PostHandshake13._receive_key_update",
                "raise ProtocolError(Fault.TOO_MANY_KEY_UPDATES)",
                "pass",
            ),
            without(
                "end_to_end/test_data.py::test_many_requests_cost_one_answer",
                "handshake.tls13.post.PostHandshake13._receive_key_update",
                "self.key_update_pending = True",
                "self.update_send_keys(request_peer=False)",
            ),
        ),
        (
            "adapters/test_sockets.py"
            "::test_a_reader_that_owes_a_key_update_never_waits_for_the_peer_to_read",
            "adapters/test_asyncio.py"
            "::test_a_peer_that_asks_for_keys_and_never_reads_costs_no_memory",
        ),
    ),
    Threat(
        _SERVICE,
        "Floods of empty records, warnings, tickets, HelloRequests, user_canceled",
        "Each is counted, and only data set the counts back.",
        (
            without(
                "adversarial/test_floods.py::test_empty_data_flood",
                "record.layer.RecordLayer.note_record_without_progress",
                "raise ProtocolError(Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS, ...)",
            ),
            without(
                "adversarial/test_floods.py::test_ticket_flood",
                "handshake.tls13.post.PostHandshake13._count_without_data",
                "raise ProtocolError(Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS)",
                "pass",
            ),
            without(
                "adversarial/test_renegotiation12.py"
                "::test_a_peer_that_asks_and_never_reads_costs_no_memory",
                "handshake.tls12.post.PostHandshake12.receive",
                "self.key_update_pending = True",
                "self._decline()",
            ),
            without(
                "adversarial/test_floods.py::test_user_canceled_flood",
                "lifecycle.Lifecycle._receive_alert",
                "raise ProtocolError(Fault.TOO_MANY_ALERTS, ...)",
            ),
        ),
        (
            "adversarial/test_renegotiation12.py::test_warning_flood",
            "adversarial/test_renegotiation12.py::test_asking_without_end",
        ),
    ),
    Threat(
        _SERVICE,
        "Large and slow handshake messages (CVE-2016-6309, CVE-2024-1765)",
        "A message's announced size is checked in its header, the handshake as a whole by its sum. "
        "Buffers grow by what came. The time of a handshake is limited, however it dribbles.",
        (
            without(
                "adversarial/test_records.py::test_message_announces_too_much",
                "wire.framing.check_message_size",
                "raise ProtocolError(Fault.HANDSHAKE_MESSAGE_TOO_LARGE, ...)",
            ),
            without(
                "adversarial/test_records.py::test_handshake_too_large",
                "handshake.loop.HandshakeLoop._receive_handshake",
                "raise ProtocolError(Fault.HANDSHAKE_TOO_LARGE, ...)",
            ),
            Proof(
                "adapters/test_asyncio.py::test_a_silent_peer_runs_into_the_handshake_timeout",
                (
                    Edit(
                        "adapters.pump.Pump.drop", "Fault.HANDSHAKE_TIMEOUT", "Fault.INTERNAL_ERROR"
                    ),
                    Edit(
                        "adapters.pump.Pump._time_out",
                        "Fault.HANDSHAKE_TIMEOUT",
                        "Fault.INTERNAL_ERROR",
                    ),
                ),
            ),
        ),
        (
            "adapters/test_sockets.py"
            "::test_a_dribbling_server_does_not_stretch_the_handshake_timeout",
            "adversarial/test_costs.py::test_memory_is_what_came_and_a_little_more",
        ),
    ),
    Threat(
        _SERVICE,
        "Fragments, one-byte records, quadratic copying (CVE-2024-11738)",
        "Buffers are cut from the front without moving the rest. A hello in one-byte records costs "
        "at most 40 times as much per byte as one in the largest, counted in lines of Python, and "
        "its bytes are copied a bounded number of times.",
        (
            without(
                "adversarial/test_costs.py::test_tiny_records_cost_so_much_per_byte",
                "record_loop.RecordLoop._walk",
                "self._message_size and reader is PLAINTEXT",
            ),
            without(
                "adversarial/test_costs.py::test_tiny_reads_cost_so_much_per_byte",
                "record_loop.RecordLoop._complete_record",
                "self._unread += data[at : at + lacking]",
                "self._unread += data[at : at + lacking]\nfor _ in self._unread:\n    pass",
            ),
        ),
        (
            "adversarial/test_costs.py::test_tiny_records_cost_not_many_times_as_much_as_large_ones",
            "record/test_layer.py::test_one_byte_at_a_time_costs_no_more_than_its_bytes",
            "adversarial/test_floods.py::test_tiny_fragments_end_too",
        ),
    ),
    Threat(
        _SERVICE,
        "Extensions, suites, shares, identities without number",
        "Duplicates are found by a dictionary. Extensions, key shares and tried identities have "
        "bounds; the rest costs what its bytes cost.",
        (
            without(
                "wire/test_messages.py::test_an_extension_stands_once",
                "wire.structs.read_extensions",
                "raise ProtocolError(Fault.DUPLICATE_EXTENSION, ...)",
            ),
            without(
                "adversarial/test_hellos.py::test_too_many_extensions_of_a_client",
                "wire.rules.check_extensions",
                "raise ProtocolError(Fault.TOO_MANY_EXTENSIONS, ...)",
            ),
            without(
                "adversarial/test_hellos.py::test_too_many_key_shares",
                "handshake.tls13.client_hello._read_shares",
                "raise ProtocolError(Fault.TOO_MANY_EXTENSIONS, ...)",
            ),
            without(
                "adversarial/test_costs.py::test_so_many_identities_are_looked_at",
                "handshake.tls13.resumption.read_psks",
                "ext.OfferedPsks(every.identities[:_MOST_TRIED], every.binders[:_MOST_TRIED])",
                "ext.OfferedPsks(every.identities, every.binders)",
            ),
        ),
    ),
    Threat(
        _SERVICE,
        "Early data of which a Redis is asked that is slow, far away or gone",
        "A handshake waits for it at most as long as the filter's `timeout`, and not at all while "
        "it is known to be away or too far. Threads in the background connect; they are few, and "
        "so are the questions that wait for them.",
        (
            without(
                "redis/test_distance.py"
                "::test_a_redis_that_stops_answering_costs_little_and_is_told_of",
                "redis.connections.Connections.ask",
                "self._asker.is_hopeless(self._connected > 0)",
            ),
            without(
                "redis/test_loop_client.py::test_a_silent_redis_is_waited_for_until_it_is_noticed",
                "redis.tasks.Tasks.ask",
                "self._is_hopeless()",
            ),
            without(
                "redis/test_distance.py::test_questions_that_wait_are_few",
                "redis.connections.Connections._prepare",
                "Queue(_QUEUED)",
                "Queue()",
            ),
            without(
                "redis/test_distance.py::test_many_flights_at_once_share_the_connections",
                "redis.connections.Connections.ask",
                "self._outstanding >= len(self._threads) < MOST",
                "True",
            ),
        ),
        (
            "redis/test_distance.py::test_a_redis_nearer_than_the_timeout_is_used",
            "redis/test_distance.py::test_a_redis_further_away_is_told_of_and_costs_nothing",
        ),
    ),
    Threat(
        _SERVICE,
        "A certificate that fills stderr and the registry of warnings, or counts by a flag",
        "cryptography warns of names, serial numbers and policies out of bounds. One filter of the "
        "process, for these messages in modules of this package alone, is in front whenever a "
        "certificate is read: nothing is printed, nothing is kept, and `python -W error` does not "
        "change what is accepted.",
        tuple(
            without(
                f"adversarial/test_warnings.py::{test}",
                "certificates.reading.keep_warnings_out",
                "not filters or filters[0] != _FILTER",
            )
            for test in (
                "test_nothing_is_kept_of_refused_strangers",
                "test_filters_that_were_set_later",
                "test_flags_of_the_process",
            )
        ),
        ("adversarial/test_warnings.py::test_others_are_warned_as_before",),
    ),
    Threat(
        _SERVICE,
        "A whole message of the shortest entries, and then nothing",
        "Lists of numbers are kept in the bytes in which they came, and of protocols, authorities "
        "and identities only what is known here and some more. A server forgets a hello once it "
        "is answered, keeps a digest of it while it waits for a second one, and a client keeps of "
        "a request the question alone. At every pause of a handshake, with every list filled, "
        "what is held is measured: no more than the beginning of the message took while a server "
        "waits for a client, and a few times its bytes while a question is open.",
        (
            Proof(
                "adversarial/test_pauses.py::test_a_server_that_asks_for_credentials",
                (
                    Edit(
                        "wire.structs.scan",
                        "Uint16s(data[at:after])",
                        "tuple(Uint16s(data[at:after]))",
                    ),
                ),
            ),
            without(
                "adversarial/test_pauses.py::test_a_server_that_asks_for_credentials",
                "handshake.offered._bounded",
                "not most",
            ),
            without(
                "adversarial/test_pauses.py::test_a_server_that_asks_for_a_key",
                "handshake.tls13.resumption.read_psks",
                "ext.OfferedPsks(every.identities[:_MOST_TRIED], every.binders[:_MOST_TRIED])",
                "ext.OfferedPsks(every.identities, every.binders)",
            ),
            without(
                "adversarial/test_pauses.py::test_a_server_that_waits_for_the_client",
                "handshake.tls13.server.complete_server_handshake",
                "del offer, found",
                "pass",
                before="if early is not None: ...",
            ),
            without(
                "adversarial/test_pauses.py::test_a_server_that_waits_for_a_second_hello",
                "handshake.tls13.server.complete_server_handshake",
                "del offer, found",
                "pass",
                before="offer = ...",
            ),
            without(
                "adversarial/test_pauses.py::test_a_client_that_waits_for_the_last_word",
                "handshake.tls12.client._receive_flight",
                "del message",
            ),
            without(
                "adversarial/test_pauses.py"
                "::test_a_protocol_that_is_spoken_counts_wherever_it_stands",
                "handshake.offered._bounded",
                "each not in known",
                "True",
            ),
        ),
        (
            "adversarial/test_pauses.py::test_a_client_that_is_asked_for_a_certificate",
            "adversarial/test_pauses.py::test_an_authority_of_ours_counts_wherever_it_stands",
        ),
    ),
    Threat(
        _SERVICE,
        "Lists times lists: work that grows with the square of what was sent",
        "What a peer offers is read into lists in which each value stands once, no longer than "
        "what is known here and some more; what is reported of it is as short. A server name "
        "has at most 255 bytes. For every message, list, role and version, and for the report "
        "of each, twice as many entries cost twice as much, counted in lines of Python and in "
        "comparisons of the peer's values.",
        (
            Proof("adversarial/test_doubling.py::test_all_lists_of_a_hello_together", _ENDLESS),
            Proof(
                "adversarial/test_doubling.py::test_an_honest_client_does_not_wait_for_such_hellos",
                _ENDLESS,
            ),
            without(
                "adversarial/test_doubling.py::test_what_is_told_of_each_list",
                "story.diff._list",
                "frozenset(ours), frozenset(theirs)",
                "ours, theirs",
            ),
            without(
                "adversarial/test_doubling.py::test_decisions_that_somebody_made_up",
                "story.page.steps._choice",
                "frozenset(decision.acceptable)",
                "decision.acceptable",
            ),
            without(
                "adversarial/test_doubling.py::test_decisions_that_somebody_made_up",
                "story.redact._Labels.in_words",
                "len(self._texts) >= _MOST_REASONS",
            ),
            without(
                "adversarial/test_doubling.py::test_decisions_that_somebody_made_up",
                "story.unfold._by_reason",
                "names.items()",
                "[(w, [e.name for e in event.refused if e.why == w]) for w in names]",
            ),
            without(
                "handshake/test_offered.py::"
                "test_of_what_has_no_name_the_first_are_kept_and_of_what_has_one_all",
                "iana._names_of",
                "not room",
            ),
            without(
                "handshake/test_offered.py::test_each_name_stands_once_where_it_came_first",
                "iana._names_of",
                "dict.fromkeys(numbers)",
                "numbers",
            ),
            without(
                "trace/test_recorder.py::"
                "test_of_very_many_offers_the_first_are_kept_and_what_could_be_chosen",
                "trace.recorder._bounded",
                "len(offers) <= _MOST_OFFERS",
                "True",
            ),
            without(
                "wire/test_extensions.py::test_no_host_name_is_so_long",
                "wire.extensions._host_name",
                "len(name) > _LONGEST_NAME",
            ),
        ),
        (
            "adversarial/test_doubling.py::test_each_list_of_a_hello",
            "adversarial/test_doubling.py::test_the_longest_hellos",
            "adversarial/test_doubling.py::test_what_a_server_sends",
            "adversarial/test_doubling.py::test_what_a_client_sends",
            "adversarial/test_doubling.py::test_what_comes_afterwards",
            "adversarial/test_doubling.py::test_a_capture",
        ),
    ),
    Threat(
        _SERVICE,
        "Chains that never end, huge keys (CVE-2023-29409, RUSTSEC-2023-0052)",
        "Ten certificates, RSA keys of at most 8192 bits with short exponents, a bounded number of "
        "paths and signatures; cryptography from 50 on, as older ones can be hung by a chain.",
        (
            without(
                "adversarial/test_authentication.py::test_fewer_certificates_are_accepted",
                "handshake.tls13.certificate.read_entries",
                "raise ProtocolError(Fault.TOO_MANY_CERTIFICATES, ...)",
            ),
            without(
                "certificates/test_verify.py::TestRefused::test_huge_rsa_keys_are_refused_before_any_work",
                "certificates.key_bounds.MAX_RSA_BITS",
                "8192",
                "32768",
            ),
        ),
        (
            "certificates/test_explanation.py::TestBroken::test_a_hostile_maze_has_an_end",
            "rules/test_imports.py::test_the_only_dependency_is_cryptography",
        ),
    ),
    Threat(
        _SERVICE,
        "Refusals that cost more than what was refused",
        "Where no issuer's name leads to an anchor, no path is looked for; where several "
        "certificates have one name, or one has more than 8 KiB, signatures must lead down from an "
        "anchor first. For the words "
        "of a refusal each certificate is read once, long names and a stranger's large extensions "
        "are not, names are written out as far as they are shown, and comparisons, paths and "
        "signatures are counted. No more than 32 KiB of names are read in a chain, and "
        "of extensions in a certificate, not counting the text of DNS names. The name of the "
        "signer of an OCSP response is read once, however many certificates are in it. Twice as "
        "much of anything is at most twice the work.",
        (
            without(
                "adversarial/test_refusal_costs.py::TestTheWorstChain::test_the_verifier_is_not_asked_where_no_name_leads_to_an_anchor",
                "certificates.path.build_path",
                "raise VerificationError(...)",
            ),
            without(
                "adversarial/test_refusal_costs.py::test_a_chain_that_only_names_an_anchor_is_not_walked_by_the_verifier",
                "certificates.path._may_lead_to_anchor",
                "len(issuers_of) == len(others)",
                "True",
            ),
            without(
                "adversarial/test_refusal_costs.py::TestLargeCertificates::test_the_verifier_reads_none_that_no_authority_signed",
                "certificates.path._may_lead_to_anchor",
                "max(map(len, ders)) <= _MOST_UNSIGNED",
                "True",
            ),
            without(
                "adversarial/test_refusal_costs.py::test_names_beyond_all_measure_are_not_read",
                "certificates.rules.form._name_size",
                "certificate.name_bytes <= MOST_NAME_BYTES",
                "True",
            ),
            without(
                "adversarial/test_refusal_costs.py::test_extensions_beyond_all_measure_are_not_read",
                "certificates.rules.form._extensions_size",
                "not certificate.is_oversized",
                "True",
            ),
            without(
                "adversarial/test_refusal_costs.py::TestAnAcceptedLeaf::test_the_names_of_all_certificates_together_have_a_bound",
                "certificates.evidence.read_all_names",
                "left -= size",
            ),
            without(
                "adversarial/test_refusal_costs.py::TestAnAcceptedLeaf::test_a_name_that_comes_again_is_read_once",
                "certificates.evidence.read_all_names",
                "names_read |= {issuer, subject}",
            ),
            without(
                "certificates/test_ocsp.py::TestSigner::test_names_are_read_once",
                "certificates.ocsp._may_be_signer",
                "len(subject) <= LONGEST_NAME",
                "True",
            ),
            without(
                "certificates/test_ocsp.py::TestSigner::test_names_are_read_once",
                "certificates.ocsp._check_signer",
                "_may_be_signer(each, *named)",
                "_may_be_signer(each, response.responder_name, response.responder_key_hash)",
            ),
            without(
                "adversarial/test_refusal_costs.py::test_many_authorities_of_one_name_are_not_all_tried_on_many_certificates",
                "certificates.path._is_certified",
                "checks > _MOST_CHECKS or signed > MOST_SIGNED",
            ),
            without(
                "adversarial/test_refusal_costs.py::TestLongNames::test_issuers_of_one_key_are_tried_once",
                "certificates.path._is_certified",
                "_owner(index, ders, named, owners) in certified",
                "not _owner(index, ders, named, owners)",
            ),
            without(
                "adversarial/test_refusal_costs.py::TestLongNames::test_the_verifier_gets_no_more_issuers_than_can_be_tried",
                "certificates.path._within_bounds",
                "candidates[:most]",
                "candidates",
            ),
            without(
                "adversarial/test_refusal_costs.py::TestLongNames::test_the_verifier_is_asked_once",
                "certificates.path._path_among",
                "not _has_long_name(named)",
                "True",
            ),
            without(
                "adversarial/test_refusal_costs.py::test_extensions_that_cannot_be_read_are_tried_once_for_all_fields",
                "certificates.describe.described",
                "not _OF_EXTENSIONS.isdisjoint(keys) and not _has_readable_extensions(certificate)",
            ),
            without(
                "adversarial/test_refusal_costs.py::TestLongNames::test_only_what_is_told_is_written_out",
                "certificates.names.name_text",
                "len(text) > limit",
            ),
            without(
                "adversarial/test_refusal_costs.py::TestManyNames::test_a_stranger_s_are_not_read",
                "certificates.walk.Walk._see",
                "seen.extensions_size > self._extensions_left",
            ),
            Proof(
                "adversarial/test_refusal_costs.py::TestManyNames::test_a_stranger_s_are_not_read",
                (
                    Edit(
                        "certificates.seen.Seen.about",
                        "self.unread and self.subject_name == NO_NAME",
                        "False",
                    ),
                    Edit("certificates.names._names_text", "size > MOST_EXTENSIONS", "False"),
                ),
            ),
            without(
                "adversarial/test_refusal_costs.py::TestManyNames::test_those_that_an_authority_signed_are_judged",
                "certificates.explanation._refused",
                "found.broken or not walk.lacked",
                "True",
            ),
            without(
                "adversarial/test_refusal_costs.py::TestTheWorstChain::test_no_long_name_is_taken_apart",
                "certificates.names.subject_of",
                "size > LONGEST_NAME",
            ),
            without(
                "adversarial/test_refusal_costs.py::TestTheWorstChain::test_so_many_signatures_are_checked",
                "certificates.walk.Walk._is_signed",
                "self._checks_left > 0 and self._bytes_left > 0",
                "True",
            ),
            Proof(
                "adversarial/test_refusal_costs.py::test_twice_as_much_is_no_more_than_twice_the_work",
                (
                    Edit(
                        "certificates.name_constraints.Comparisons.violation",
                        "sum(map(self._work_for, bound)) * constraints.work > _MOST_CHECKS",
                        "False",
                    ),
                    Edit(
                        "certificates.name_constraints.Comparisons._problem_of",
                        "self._left < 0",
                        "False",
                    ),
                ),
            ),
        ),
        (
            "adversarial/test_refusal_costs.py::TestTheWorstChain::test_it_is_refused_within_so_much_work",
            "adversarial/test_refusal_costs.py::test_common_names_that_are_all_right_are_no_more_than_twice_the_work",
        ),
    ),
    Threat(
        _SERVICE,
        "Memory that strangers fill and nobody gives back",
        "What is keyed by a peer's bytes belongs to a config, a trust store or a connection, is "
        "bounded in bytes, and takes in only what was accepted. Every cache of a module stands in "
        "a table, with its key, bound and reason.",
        (
            Proof(
                "adversarial/test_memory.py::test_memory_after_strangers",
                (
                    # Three that stand for each other: after acceptance, within bounds, and short.
                    Edit(
                        "wire.memoize.Reading.note",
                        "self.new.append((key, value, size + _BYTES_BESIDES))",
                        "self._memo.keep(key, value, 0)",
                    ),
                    Edit(
                        "handshake.tls13.certificate.read_certificate", "size <= _MOST_KEPT", "True"
                    ),
                ),
            ),
            without(
                "handshake/test_known_info.py::test_what_a_peer_made_long_is_not_kept",
                "handshake.known_info._once",
                "size <= _MOST_KEPT",
                "True",
            ),
            without(
                "wire/test_memoize.py::test_what_was_read_in_a_handshake_that_failed_is_not_kept",
                "wire.memoize.Reading.read",
                "self.new.append(((read, data), made, size))",
                "self._memo.keep((read, data), made, size)",
            ),
            without(
                "test_kept.py::test_what_was_kept_first_goes_first",
                "kept.Kept.keep",
                "self._size + size > self._most",
            ),
            without(
                "certificates/test_remembered.py::test_is_bounded_in_bytes",
                "certificates.remembered.RememberedChains.remember",
                "self._size > MOST_BYTES",
            ),
            without(
                "adversarial/test_memory.py::test_what_was_renewed_is_gone",
                "certificates.verify.verify_evidence",
                "policy.token",
                "policy",
            ),
            without(
                "adversarial/test_memory.py::test_a_store_that_grows_leaves_nothing_behind",
                "certificates.trust.TrustStore._all_and_vetted",
                "self._load = _nothing",
            ),
        ),
        ("rules/test_caches.py::test_every_cache_of_a_module_is_in_the_table",),
    ),
    Threat(
        _SERVICE,
        "Decompression bombs (CVE-2025-66199, RUSTSEC-2026-0348)",
        "The announced length is checked before anything is inflated, and no more than that is "
        "ever inflated.",
        (
            without(
                "adversarial/test_certificates.py::test_what_is_inflated_counts_as_a_certificate",
                "handshake.tls13.certificate.decompressed",
                "length > asked.limits.max_certificate_bytes",
            ),
            without(
                "wire/test_compression.py::test_a_bomb_is_not_inflated",
                "wire.compression._decompress_zlib",
                "decompressor.decompress(data, length + 1)",
                "decompressor.decompress(data)",
            ),
            without(
                "wire/test_compression.py::test_a_bomb_is_not_inflated",
                "wire.compression._decompress_brotli",
                "decompressor.process(data, output_buffer_limit=length + 1)",
                "decompressor.process(data)",
            ),
        ),
    ),
    Threat(
        _SERVICE,
        "Growing caches of sessions (CVE-2024-2511)",
        "Tickets are the client's to keep. What a server or a client remembers is bounded in "
        "number and in bytes, since the peer decides how large an entry is; lists of short strings "
        "are kept as one, and each object counts for itself. No peer gets more than a share of it. "
        "In a file of sessions only the lines of one server are understood.",
        (
            without(
                "sessions/test_store.py::test_so_many_and_no_more",
                "sessions.bounded.BoundedEntries.put",
                "len(self.held) > self._capacity",
            ),
            without(
                "sessions/test_store.py::test_so_many_for_one_server_and_no_more",
                "sessions.bounded.BoundedEntries._shorten",
                "len(entries) - first > MOST_PER_NAME",
            ),
            without(
                "sessions/test_store.py::test_so_many_bytes_and_no_more",
                "sessions.bounded.BoundedEntries.put",
                "self.size > self._max_bytes",
            ),
            without(
                "sessions/test_store.py::test_one_server_does_not_push_out_the_others",
                "sessions.bounded.BoundedEntries._shorten",
                "total > self._max_bytes // 8",
            ),
            without(
                "sessions/test_store.py::test_what_is_too_large_is_not_kept",
                "sessions.bounded.BoundedEntries.put",
                "self._size_of(entry) > self._max_bytes // 16",
            ),
            Proof(
                "adversarial/test_session_stores.py"
                "::test_a_session_takes_no_more_memory_than_it_counts_for",
                (
                    Edit(
                        "sessions.session.RequestedCertificate.__init__",
                        'b"".join([opaque16(name) for name in authorities])',
                        "tuple(authorities)",
                    ),
                    Edit(
                        "sessions.session.RequestedCertificate.authorities",
                        "_read_authorities(self._authorities)",
                        "self._authorities",
                    ),
                ),
            ),
            without(
                "adversarial/test_session_stores.py"
                "::test_a_session_takes_no_more_memory_than_it_counts_for",
                "sessions.session.Session.size",
                "_OVERHEAD + requested + _PER_OBJECT * len(parts)",
                "_OVERHEAD",
            ),
            without(
                "adversarial/test_session_stores.py"
                "::test_a_ticket_does_not_cost_what_all_authorities_do",
                "sessions.session_file.FileSessionStore.put",
                "session.size > self._max_bytes // 16",
            ),
        ),
        (
            "sessions/test_session_cache12.py::test_the_least_recently_used_goes_first",
            "sessions/test_session_cache12.py::test_so_many_bytes_and_no_more",
            "sessions/test_memory.py::test_a_server_does_not_grow",
            "sessions/test_store.py::test_only_the_lines_of_the_key_are_understood",
        ),
    ),
    Threat(
        _SERVICE,
        "Loops at the end of the transport (CVE-2024-32650)",
        "Every wait ends with the transport. The end, and close_notify, were tried at every pause "
        "of every role and at every byte of a flight.",
        (
            without(
                "adversarial/test_records.py::test_close_notify_in_the_handshake",
                "lifecycle.Lifecycle._receive_alert",
                "raise TruncationError(Fault.CLOSED_DURING_HANDSHAKE, ...)",
                "return",
            ),
        ),
        (
            "adversarial/test_records.py::test_end_of_the_transport_at_every_pause",
            "adapters/test_sockets.py"
            "::test_the_end_of_the_transport_at_any_byte_of_the_flight_ends_the_handshake",
        ),
    ),
    Threat(
        _SERVICE,
        "Handshakes that cost the server more than the client",
        "A hello is read and checked as a whole before any key is made or used. Time-outs are on. "
        "So many handshakes go on at once and no more: at the asyncio server others wait in a line "
        "that is bounded, `handclasp serve` leaves connections in the kernel's queue. Who holds a "
        "place and sends nothing makes room, first those of the address, or the /64 network, that "
        "holds most of them. Who waits does so by address, and nobody behind another address's "
        "crowd, not even where a crowd has used up the descriptors. Addresses that have wasted "
        "places come after the others, so that thousands of them keep nobody waiting once they are "
        "known, but get every eighth place; a /48 network that has wasted more than 16 is known "
        "for each of its addresses. Where more is needed, limit "
        "connections before TLS: TCP has proved the address.",
        (
            without(
                "adversarial/test_costs.py::test_a_bad_hello_costs_no_key",
                "handshake.tls13.client_hello._read_shares",
                "raise ProtocolError(Fault.KEY_SHARE_NOT_IN_GROUPS, ...)",
            ),
            without(
                "adapters/test_accepting.py"
                "::test_thousands_who_say_nothing_cost_no_more_than_a_few",
                "adapters.accepting.Acceptor._offer",
                "not self._line and not self._room.is_full",
                "True",
            ),
            without(
                "adapters/test_accepting.py::test_who_sends_no_hello_makes_room_for_others",
                "adapters.room.Room.who_makes_room",
                "each.is_idle()",
            ),
            without(
                "adapters/test_accepting.py"
                "::test_a_crowd_of_addresses_comes_after_those_that_have_wasted_nothing",
                "adapters.room.Room.in_turn",
                "not wasted.get(each) or not self.is_stalling(each)",
                "True",
            ),
            without(
                "adapters/test_accepting.py"
                "::test_an_address_that_has_wasted_places_gets_one_of_eight",
                "adapters.accepting.Acceptor._shares_in_turn",
                "self._others_served >= _STALLING_TURN - 1",
            ),
            without(
                "adapters/test_room.py::test_whoever_has_a_network_is_blamed_for_all_of_it",
                "adapters.room.Room.is_stalling",
                "wasted > _MAX_WASTED_OF_NETWORK",
            ),
            without(
                "adapters/test_room.py::test_so_many_networks_are_remembered_and_no_more",
                "adapters.room.Room._note_waste",
                "len(wasted) > _MAX_STALLING",
            ),
            without(
                "adapters/test_accepting.py::test_who_has_sent_no_hello_in_time_has_wasted_a_place",
                "adapters.accepting.Acceptor._leave",
                "silent and self._line",
            ),
            without(
                "adapters/test_room.py::test_nobody_takes_the_place_of_a_smaller_share",
                "adapters.room.Room.who_makes_room",
                "len(each) > size",
                "True",
            ),
            without(
                "adapters/test_room.py::test_the_oldest_of_the_largest_share_leaves_first",
                "adapters.room.Room.who_makes_room",
                "shares.sort(key=len, reverse=True)",
                "pass",
            ),
            without(
                "adapters/test_accepting.py::test_a_line_of_one_address_keeps_nobody_else_waiting",
                "adapters.room.Line.join",
                "share_of(address)",
                '"all of them"',
            ),
            without(
                "adapters/test_accepting.py"
                "::test_of_one_address_that_wastes_its_places_only_so_many_wait",
                "adapters.room.Line.shorten",
                "self._count > self._size",
            ),
            without(
                "adapters/test_accepting.py"
                "::test_a_crowd_that_takes_the_last_descriptor_keeps_nobody_else_waiting",
                "adapters.accepting.Acceptor._make_way",
                "error.errno not in _NO_DESCRIPTORS or self._closed",
                "True",
            ),
            without(
                "adapters/test_accepting.py"
                "::test_places_and_line_take_no_more_than_a_quarter_of_the_descriptors",
                "adapters.accepting._length_of_line",
                "descriptors // _PART_OF_DESCRIPTORS - max_handshakes",
                "descriptors // _PART_OF_DESCRIPTORS",
            ),
        ),
        (
            "adapters/test_room.py::test_a_full_line_closes_who_wastes_places",
            "adapters/test_room.py::test_a_line_is_cut_where_the_system_has_no_room_for_it",
            "adapters/test_accepting.py"
            "::test_without_descriptors_nobody_is_turned_away_who_wastes_nothing",
            "adapters/test_room.py"
            "::test_a_full_line_of_those_who_waste_nothing_lets_others_wait_outside",
            "adapters/test_accepting.py::test_a_hello_must_come_soon",
            "adapters/test_accepting.py::test_a_server_that_is_slow_itself_turns_nobody_away",
            "adapters/test_accepting.py"
            "::test_one_address_that_connects_without_end_keeps_nobody_waiting",
            "adapters/test_accepting.py::test_a_crowd_is_served_to_the_last",
            "adapters/test_asyncio.py::test_a_client_cannot_fill_the_memory_while_an_answer_is_awaited",
        ),
    ),
    Threat(
        _PARSER,
        "Malformed extensions that nobody has had a use for yet",
        "Every known extension of a message is read when the message comes, before anything is "
        "answered, and whatever is made of it later.",
        tuple(
            without(f"adversarial/test_extension_forms.py::{test}", where, old, *new)
            for test, where, old, *new in (
                (
                    "test_client_hello",
                    "wire.memoize.Reading.read_forms",
                    "read is not None",
                    "read is not None and kind in (0, 10, 13, 16, 19, 20, 27, 45)",
                ),
                (
                    "test_client_hello_of_tls12",
                    "handshake.server.server_handshake",
                    "hs.reading.read_forms(_FORMS12, hello.extensions)",
                    "pass",
                ),
                (
                    "test_server_hello",
                    "handshake.tls13.server_hello.read_server_hello",
                    "values = read_forms(extensions, place)",
                    "values = {}",
                ),
                (
                    "test_encrypted_extensions",
                    "handshake.tls13.client._read_encrypted_extensions",
                    "values = read_forms(extensions, MessageContext.EE)",
                    "values = {}",
                ),
                (
                    "test_certificate_request",
                    "handshake.tls13.certificate_request.check_certificate_request",
                    "check_forms(request.extensions, MessageContext.CR)",
                    "pass",
                ),
                (
                    "test_certificate",
                    "handshake.tls13.certificate.read_entries",
                    "check_forms(entry.extensions, MessageContext.CT)",
                    "pass",
                ),
                (
                    "test_new_session_ticket",
                    "handshake.tls13.tickets.check_ticket",
                    "check_forms(message.extensions, MessageContext.NST)",
                    "pass",
                ),
                (
                    "test_server_hello_of_tls12",
                    "handshake.tls12.server_hello.check_server_hello",
                    "check_forms(extensions, MessageContext.SH12)",
                    "pass",
                ),
            )
        ),
        (
            "adversarial/test_extension_forms.py::test_hello_retry_request",
            "adversarial/test_extension_forms.py::test_every_form_is_tried",
        ),
    ),
    Threat(
        _PARSER,
        "Lengths beyond their bounds (Heartbleed, CVE-2024-0901)",
        "One reader with one bounds check reads everything; what is left over is an error, too. "
        "The C that opens records of data reads their headers and what an AEAD has authenticated, "
        "within the memory that is there, and leaves the rest to Python; `make speedups-check` "
        "runs it under sanitizers.",
        (
            Proof(
                "wire/test_reader.py::test_a_reader_of_a_part_stays_inside_it",
                (
                    Edit("wire.reader.Reader.uint16", "raise self._cut_short(field, ...)", "pass"),
                    Edit("wire.reader.Reader.opaque", "raise self._cut_short(field, ...)", "pass"),
                    Edit("wire.reader.Reader.opaque16", "after > self._end", "False"),
                    Edit(
                        "wire.reader.Reader._advance", "raise self._cut_short(field, ...)", "pass"
                    ),
                ),
            ),
            without(
                "adversarial/test_hellos.py::test_client_hello",
                "wire.memoize.Reading.read_forms",
                "read is not None",
                "read is not None and kind in (0, 10, 13, 16, 19, 20, 27, 45)",
            ),
            without(
                "wire/test_reader.py::test_trailing_bytes_are_refused",
                "wire.reader.Reader.end",
                "raise self.fault(...)",
            ),
        ),
        (
            "wire/test_messages.py::test_every_truncation_is_refused",
            "record/test_record_key.py::TestMemory::test_a_buffer_that_changes_meanwhile",
            "record/test_record_key.py::TestMemory::test_what_is_not_written_is_not_sent",
            "record/test_record_key.py::TestMemory::test_what_an_aead_keeps_stays_as_it_is",
            "record/test_record_key.py::test_both_forms_open_the_same",
            "differential/test_differential.py::test_mutants",
            "fuzz/test_targets.py::test_mutants_of_the_seeds",
        ),
    ),
    Threat(
        _PARSER,
        "Exceptions that end the program (CVE-2015-3220)",
        "Whatever goes wrong inside, a peer can cause a `TLSError` and nothing else; an unforeseen "
        "exception ends its connection as internal_error. No assert looks at input.",
        (
            without(
                "handshake/test_loop.py::test_defect_inside_of_a_handshake",
                "handshake.loop.HandshakeLoop._resume",
                "raise ProtocolError(Fault.INTERNAL_ERROR, ...) from error",
                "raise",
            ),
            Proof(
                "test_connection.py::test_defect_of_ours_is_a_typed_error",
                (
                    Edit("lifecycle.Lifecycle._fail", "self._end(failure)", "pass"),
                    Edit("lifecycle.Lifecycle._fail", "not isinstance(error, Exception)", "True"),
                ),
            ),
        ),
        (
            "adversarial/test_mutations.py::test_one_changed_byte",
            "crypto/test_signatures.py::test_no_signature_bytes_make_verify_raise",
            "rules/test_source.py::test_nothing_is_asserted",
            "fuzz/test_targets.py::test_seeds",
        ),
    ),
    Threat(
        _PARSER,
        "Mistakes in cryptography of one's own (CVE-2018-1000159)",
        "There is none. The glue around the primitives is held to published vectors, and every "
        "byte of a record is authenticated.",
        (
            Proof(
                "record/test_protection13.py::test_every_byte_of_a_record_is_protected",
                (
                    Edit(
                        "record.protection13.Protection13.seal",
                        "self.aead.encrypt(nonce, inner, header)",
                        'self.aead.encrypt(nonce, inner, b"")',
                    ),
                    Edit(
                        "record.protection13.Protection13.open",
                        "self.aead.decrypt(nonce, ciphertext, header)",
                        'self.aead.decrypt(nonce, ciphertext, b"")',
                    ),
                ),
            ),
        ),
        (
            "vectors/test_rfc8448_replay.py::test_client",
            "record/test_protection12.py::test_any_changed_byte_is_noticed",
            "crypto/test_hkdf.py::test_every_derivation_of_rfc_8448",
            "security/test_primitives.py::test_tags_that_are_wrong",
        ),
    ),
    Threat(
        _PARSER,
        "Intolerance of what is new (GREASE)",
        "Unknown extensions, suites, groups and schemes are ignored wherever they stand, "
        "in any order.",
        (
            without(
                "wire/test_rules.py::test_unknown_extensions_are_not_misplaced",
                "wire.rules.check_extensions",
                "refused.isdisjoint(extensions)",
                "_ALLOWED_IN[place].issuperset(extensions)",
            ),
        ),
        (
            "end_to_end/test_negotiation.py::test_grease_in_every_place",
            "adversarial/test_good_peers.py::test_other_flights_of_a_client",
        ),
    ),
    Threat(
        _SIDE,
        "Alerts, timing and branches that tell secrets",
        "Every record that does not open looks the same. Secrets are compared by "
        "`hmac.compare_digest`. Where secrets pass through Python is listed below.",
        (
            without(
                "security/test_secrets.py::test_verify_data_are_compared_in_constant_time",
                "handshake.finished.check_finished",
                "not hmac.compare_digest(verify_data, expected)",
                "verify_data != expected",
            ),
        ),
        (
            "record/test_protection13.py::test_the_alert_says_no_more_than_bad_record_mac",
            "security/test_secrets.py::test_every_place_is_listed",
            "adversarial/test_key_transport12.py::test_one_draw_and_one_decryption",
        ),
    ),
    Threat(
        _SIDE,
        "Chance that fails or repeats after a fork",
        "Everything random comes from os.urandom when it is needed; nothing is kept in store.",
        (
            without(
                "security/test_forks.py::test_hellos_of_two_processes_differ",
                "config.SharedConfig.entropy",
                "os.urandom",
                "__import__('random').Random(1).randbytes",
            ),
        ),
        (
            "end_to_end/test_one_time.py::test_nothing_ever_repeats",
            "sessions/test_replay.py::test_a_forked_process_takes_none",
        ),
    ),
    Threat(
        _API,
        "Unsafe defaults, errors in callbacks taken for consent",
        "Verification is on. A callback that raises, or returns anything but what it should, "
        "refuses. A config is frozen, and a setting that cannot be honoured raises.",
        (
            without(
                "end_to_end/test_questions.py::test_anything_but_a_proof_is_no_verification",
                "handshake.answers.Answers.checked",
                "not isinstance(value, wanted)",
            ),
            without(
                "end_to_end/test_questions.py::test_proof_of_another_chain",
                "handshake.peer._checked",
                "peer.chain_der != shown.chain",
            ),
        ),
        (
            "end_to_end/test_questions.py::test_exception_in_every_callback",
            "test_config.py::test_the_defaults_are_safe",
            "test_config.py::test_a_config_is_frozen",
        ),
    ),
    Threat(
        _API,
        "A client's sessions used under another config (CVE-2025-68121)",
        "Sessions are kept by server, port, trust, credentials, ALPN and all else that the "
        "decision depends on, and the server's chain is verified again before one is offered.",
        (
            without(
                "end_to_end/test_resumption.py::test_another_trust_store",
                "handshake.client_sessions._key",
                "trust.fingerprint if trust is not None else None",
                "None",
            ),
            without(
                "end_to_end/test_resumption.py::test_a_server_that_is_no_longer_trusted",
                "handshake.client_sessions._why_not_the_server",
                "decide_at_once(config, trust, shown, server_name) is None",
                "False",
            ),
        ),
        (
            "end_to_end/test_resumption.py::test_other_credentials",
            "end_to_end/test_resumption.py::test_ports_are_kept_apart",
            "handshake/test_client_sessions.py::test_what_a_session_is_bound_to",
        ),
    ),
    Threat(
        _API,
        "A session of one client resumed for another (CVE-2025-68121)",
        "What the server asked for is kept with a session, and asked again before the session is "
        "offered: by config or callback, the same certificates must be shown as then. Where the "
        "answer does not come at once, nothing is kept. Callbacks are told apart by what they are, "
        "not by what they are equal to, and a pre-shared key by its content, not by its name.",
        (
            without(
                "adversarial/test_identities.py::test_the_next_one_who_connects_is_somebody_else",
                "handshake.client_sessions._why_unfit",
                "shows == session.local_chain_der",
                "True",
            ),
            without(
                "adversarial/test_identities.py::test_early_data_of_another_client",
                "handshake.client_sessions._why_unfit",
                "shows == session.local_chain_der",
                "True",
            ),
            without(
                "adversarial/test_identities.py"
                "::test_who_says_later_who_they_are_is_asked_each_time",
                "handshake.client_sessions.may_come_back",
                "question is None or not question.answered_later",
                "True",
            ),
            without(
                "adversarial/test_identities.py::test_a_key_that_was_changed_under_the_same_name",
                "handshake.client_sessions._settings",
                "psk.fingerprint",
                "psk.identity",
            ),
            Proof(
                "handshake/test_client_sessions.py::test_what_is_equal_is_not_the_same",
                (
                    Edit("handshake.client_sessions._number_of_thing", "id(thing)", "hash(thing)"),
                    Edit(
                        "handshake.client_sessions._number_of_thing",
                        "known[0]() is thing",
                        "known[0]() == thing",
                    ),
                ),
            ),
        ),
        (
            "adversarial/test_identities.py::test_nobody_becomes_somebody_and_nobody_again",
            "adversarial/test_identities.py::test_other_credentials_at_a_careless_store",
            "adversarial/test_identities.py::test_credentials_that_were_replaced_in_their_files",
            "adversarial/test_identities.py::test_a_callback_that_no_longer_says_so_at_once",
            "adversarial/test_identities.py::test_raw_public_keys",
            "handshake/test_client_sessions.py::test_what_is_made_again_is_another",
        ),
    ),
    Threat(
        _API,
        "A peer's certificate whose fields fail when they are read",
        "cryptography reads late, and raises more than ValueError then. Every look at what a peer "
        "sent takes any exception for the same, and refuses or tells that it cannot be read. Names "
        "of any length are read before a chain is accepted, be it by a record or by the "
        "application.",
        (
            without(
                "adversarial/test_unread_names.py::test_a_server",
                "certificates.decision._decide_chain",
                "read_all_names(certificates, chain)",
                "pass",
                before="_check_named_leaf(...)",
            ),
            without(
                "adversarial/test_unread_names.py::test_every_way_to_a_yes",
                "certificates.verify._taken",
                "read_all_names(certificates, chain)",
                "pass",
            ),
            without(
                "certificates/test_hostile.py::test_as_bytes",
                "certificates.decision.decide",
                "Exception",
                "CertificateError",
            ),
        ),
        ("certificates/test_hostile.py::test_in_a_handshake", "cli/test_hostile.py::test_cert"),
    ),
    Threat(
        _API,
        "A client's raw key that is resumed when it is not expected any more",
        "A raw key is kept with its type in the ticket, and compared again with the keys that are "
        "expected now (RFC 7250).",
        (
            without(
                "end_to_end/test_raw_keys.py::TestResumed::test_a_key_that_is_not_expected_any_more_is_not",
                "certificates.verify.verify_raw_public_key",
                "public_key_info not in expected",
                "not expected",
            ),
        ),
        ("end_to_end/test_raw_keys.py::TestResumed::test_both_sides_are_known_again",),
    ),
    Threat(
        _API,
        "What a fork copies, used by two processes",
        "Each process has a name of its own, which a fork changes: callbacks of two processes are "
        "never the same, and stores in memory are empty in a forked child (RFC 9846 section C.4). "
        "Sessions that depend on callbacks of the program never reach a file. A lock that a thread "
        "of the parent held is free there.",
        (
            without(
                "handshake/test_client_sessions.py::test_in_a_forked_child_it_is_another",
                "handshake.client_sessions._callbacks_of",
                "(this_process(), *map(_number_of, callbacks))",
                "(*map(_number_of, callbacks),)",
            ),
            without(
                "compat/test_session_files.py::test_a_context_that_verifies_otherwise_does_not",
                "compat.authorities.Verifier.binding",
                "(self._digest, self._flags, named, self._current().state)",
                "()",
            ),
            without(
                "sessions/test_store.py::test_another_file_in_the_inode_of_one_that_is_gone",
                "sessions.session_file._Index.follow",
                "header != self._header or size < self.end",
                "size < self.end",
            ),
            Proof(
                "adversarial/test_identities.py::test_siblings_with_callbacks_of_their_own",
                (
                    Edit(
                        "handshake.client_sessions._callbacks_of",
                        "(this_process(), *map(_number_of, callbacks))",
                        "(*map(_number_of, callbacks),)",
                    ),
                    Edit(
                        "handshake.client_sessions._why_unfit",
                        "shows == session.local_chain_der",
                        "True",
                    ),
                    Edit(
                        "handshake.client_sessions._key",
                        "KEY_OF_PROCESS + name if is_of_process else name",
                        "name",
                    ),
                ),
            ),
            without(
                "sessions/test_store.py::test_what_only_this_process_can_resume_is_not_in_the_file",
                "sessions.session_file.FileSessionStore.put",
                "key.startswith(KEY_OF_PROCESS)",
            ),
            without(
                "sessions/test_store.py::test_a_forked_child_has_none_of_what_is_in_memory",
                "sessions.store.SessionStore._memory_here",
                "memory.process != this_process()",
            ),
            without(
                "sessions/test_session_cache12.py::test_a_forked_child_remembers_none",
                "sessions.session_cache12.SessionCache12._memory_here",
                "memory.process != this_process()",
            ),
            without(
                "security/test_forks.py::test_a_lock_that_is_held_at_the_fork_is_free_in_the_child",
                "process.ProcessLock._lock",
                "self._locks.get(process)",
                "next(iter(self._locks.values()))",
            ),
            without(
                "test_process.py::test_a_child_with_the_number_of_an_ancestor",
                "process",
                'hasattr(os, "register_at_fork")',
            ),
        ),
        (
            "security/test_forks.py::test_credentials_are_read_again_in_a_child",
            "test_process.py::test_no_two_processes_have_the_same",
            "test_process.py::test_a_fork_that_python_is_not_told_of",
            "sessions/test_store.py::test_forked_children_share_a_file_and_no_session",
        ),
    ),
    Threat(
        _API,
        "A file of sessions that somebody else wrote",
        "The writer of such a file decides which server is which. So it must be a regular file of "
        "this user's own, without other names, that nobody else can read, write or replace, at the "
        "end of directories in which nobody else can rename, each time that it is read; and a "
        "session without certificates must name the pre-shared key "
        "that proved its server.",
        (
            Proof(
                "adversarial/test_identities.py::test_a_planted_file",
                (
                    Edit("trusted_files._why_not_ours", "state.st_uid != os.geteuid()", "False"),
                    Edit(
                        "trusted_files._why_not_ours",
                        "state.st_size and state.st_mode & 0o077",
                        "False",
                    ),
                ),
            ),
            without(
                "sessions/test_session.py::test_one_wrong_field_is_enough",
                "sessions.session.Session.from_json",
                "_checked(cls(**values))",
                "cls(**values)",
            ),
            without(
                "test_trusted_files.py::test_what_others_can_read_or_write",
                "trusted_files._why_not_ours",
                "state.st_size and state.st_mode & 0o077",
            ),
            Proof(
                "test_trusted_files.py::test_what_is_no_file_of_its_own",
                (
                    Edit("trusted_files._FLAGS", 'getattr(os, "O_NOFOLLOW", 0)', "0"),
                    Edit("trusted_files._DIRECTORY_FLAGS", 'getattr(os, "O_NOFOLLOW", 0)', "0"),
                ),
            ),
            without(
                "test_trusted_files.py::test_a_directory_in_which_others_can_rename",
                "trusted_files._why_replaceable",
                "directory.st_mode & 0o022 and not directory.st_mode & stat.S_ISVTX",
            ),
            without(
                "adversarial/test_identities.py::test_a_directory_that_was_swapped",
                "trusted_files._open_directory",
                "_checked_directory(further, shown, path, is_last=not ahead)",
                "further if ahead else _checked_directory(further, shown, path, is_last=True)",
            ),
            without(
                "test_trusted_files.py::test_somebody_elses_link",
                "trusted_files._link_target",
                "raise UntrustedFileError(...)",
            ),
            without(
                "adversarial/test_identities.py"
                "::test_a_session_without_certificates_names_the_key_that_proved_its_server",
                "handshake.client_sessions._why_not_the_server",
                'None if session.psk_fingerprint in known else "nothing says whose it is"',
                "None",
            ),
        ),
        (
            "sessions/test_session.py::test_what_must_be_there_is_not_null",
            "sessions/test_session.py::test_one_wrong_field_is_enough",
            "sessions/test_store.py::test_a_broken_line_is_passed_over",
        ),
    ),
    Threat(
        _API,
        "One connection's keys in two processes, after a fork",
        "Records of both under the same nonce would give the plaintext away. A process that has "
        "not used the connection since the fork closes its copy without a record, so that a "
        "forking server's parent never shares the keys of its child. Only one process can go on. "
        "What belongs to an event loop stays with the process that made it: the copy of a stream "
        "of trio, or of a transport of asyncio, sends nothing.",
        (
            without(
                "adapters/test_socket_forks.py::test_the_parent_closes_and_the_child_goes_on",
                "adapters.duplex.Duplex._end_and_close",
                "notify and not shared",
                "notify",
            ),
            without(
                "adapters/test_trio_forks.py::test_a_child_closes_its_copy_in_a_run_of_its_own",
                "adapters.trio_stream.TLSStream.aclose",
                "duplex.is_forked",
            ),
            without(
                "adapters/test_trio_forks.py::test_a_child_can_use_nothing",
                "adapters.trio_duplex.TrioDuplex.check_open",
                "self.is_forked",
            ),
            without(
                "adapters/test_trio_forks.py::"
                "test_a_call_that_began_before_the_fork_answers_nothing_in_the_child",
                "adapters.trio_duplex.TrioDuplex._transmit",
                "self.is_forked",
            ),
            without(
                "adapters/test_trio_forks.py::"
                "test_a_child_that_closes_does_not_stop_a_reader_of_the_parent",
                "adapters.trio_duplex.TrioDuplex.close_copy",
                "os.close(sock.detach())",
                "sock.close()",
            ),
            without(
                "adapters/test_asyncio_forks.py::test_a_child_sends_nothing",
                "adapters.pump.Pump._flush",
                "self._process != os.getpid()",
            ),
        ),
        (
            "adapters/test_socket_forks.py::test_the_child_closes_and_the_parent_goes_on",
            "adapters/test_socket_forks.py::test_a_forking_server_answers",
            "adapters/test_trio_forks.py::test_tls_over_tls_is_closed_without_a_word",
            "adapters/test_asyncio_forks.py::"
            "test_a_child_that_closes_its_copies_leaves_the_parents_alone",
        ),
    ),
    Threat(
        _API,
        "A request that a proxy marks as early in another way than by 1",
        "The name of the header field counts, not its value: one that is invalid, and several, say "
        "that the request came early (RFC 8470 section 5.1).",
        (
            without(
                "adapters/test_asgi.py::test_a_proxy_tells_of_early_data",
                "adapters.asgi.is_early",
                'bytes(name).lower() == b"early-data"',
                'bytes(name).lower() == b"early-data" and _ == b"1"',
            ),
        ),
    ),
    Threat(
        _API,
        "A long chain of a client that is copied for each of its requests",
        "The value of the ASGI TLS extension is made once for each connection, and its requests "
        "share the texts.",
        (
            without(
                "adapters/test_asgi.py::test_certificates_are_written_once_for_a_connection",
                "adapters.asgi.OverTLS._extension",
                "self._tls is None",
                "True",
            ),
        ),
    ),
    Threat(
        _API,
        "A connection that stays open because the application's protocol has raised",
        "Where the plain transport has not made the call (the handshake ends with the answer of an "
        "awaited callback, or held data are given out), the error is reported to the loop, and the "
        "connection is ended with it, as a plain transport does.",
        (
            without(
                "adapters/test_asyncio_raising.py::test_a_server_ends_the_connection",
                "adapters.pump.Pump._answer",
                "self._break_off(failure)",
                "raise",
            ),
            without(
                "adapters/test_asyncio_raising.py::test_data_that_was_held_ends_the_connection_too",
                "adapters.pump.Pump._break_off",
                "self._error or error",
                "self._error",
            ),
        ),
        (
            "adapters/test_asyncio_raising.py::test_a_client_ends_the_connection",
            "adapters/test_asyncio_raising.py::test_a_client_whose_protocol_cannot_begin",
        ),
    ),
    Threat(
        _API,
        "What was meant for TLS leaves in the clear, by the socket or the writer below it",
        "The socket that is wrapped is detached, and the pair of streams that `start_tls` was "
        "given raises at every use.",
        (
            without(
                "adapters/test_arguments.py::test_nothing_leaves_by_the_wrapped_socket",
                "adapters.sockets._take_over",
                "type(sock) is not socket.socket",
                "True",
            ),
            without(
                "adapters/test_spent.py::test_the_old_pair_refuses_to_be_used",
                "adapters.asyncio._upgrade",
                "spend(reader, writer, pump.transport)",
                "pass",
            ),
        ),
        (
            "adapters/test_arguments.py::test_nor_after_a_handshake_that_failed",
            "adapters/test_spent.py"
            "::test_nothing_leaves_by_the_old_writer_in_the_middle_of_the_handshake",
        ),
    ),
    Threat(
        _API,
        "A client's reset that ends a server's accept loop",
        "A socket whose peer has gone again is an `OSError`, as any failed handshake; only one "
        "that never had a peer is a mistake of the program, `ConfigurationError`.",
        (
            Proof(
                "adapters/test_arguments.py"
                "::test_a_client_that_has_gone_again_is_an_error_of_the_connection",
                (
                    Edit("adapters.progress.is_connected", "has_failed(sock)", "False"),
                    Edit(
                        "adapters.progress.is_connected",
                        "error.errno not in (errno.ENOTCONN, errno.EINVAL)",
                        "False",
                    ),
                ),
            ),
        ),
    ),
    Threat(
        _API,
        "An interrupt that loses bytes, after which the stream goes on without them",
        "An exception of a signal handler that comes where bytes are on their way ends that "
        "direction of the connection. While a call waits, none are. Under trio, a "
        "KeyboardInterrupt comes only where a call waits, or after it.",
        (
            without(
                "adapters/test_interrupts.py::test_at_every_line",
                "adapters.duplex.Duplex.read",
                "taking",
            ),
            *(
                without(
                    f"adapters/test_trio_interrupts.py::test_{work}_at_every_line",
                    f"adapters.trio_stream.TLSStream.{call}",
                    "trio.lowlevel.enable_ki_protection",
                    "trio.lowlevel.disable_ki_protection",
                )
                for work, call in (("receiving", "receive_some"), ("sending", "send_all"))
            ),
        ),
        (
            "adapters/test_interrupts.py::test_between_instructions",
            "adapters/test_trio_interrupts.py::test_a_callback_that_never_waits_is_interrupted",
            "adapters/test_interrupts.py::test_a_signal_while_a_read_waits_harms_nothing",
        ),
    ),
    Threat(
        _API,
        "Secrets in key logs, pickles, logs, traces",
        "A key log is opened where the config names one, never by the environment. Secrets do not "
        "print, and do not pickle; traces hold none unless asked to. A key in place of its "
        "path, or of another argument, is in no error. An error on the way of a "
        "secret to a file has no frames that show it. Every class and every object of a "
        "handshake is searched for one that holds a secret as plain bytes. What is said of a "
        "failure of Redis repeats no command, which may hold a ticket key.",
        (
            without(
                "redis/test_troubles.py::test_the_words_of_others_hold_no_commands",
                "redis.troubles.explain",
                "_cleaned(_text_of(error))",
                "_text_of(error)",
            ),
            without(
                "redis/test_troubles.py::test_any_text_is_short_and_holds_no_key",
                "redis.troubles._cleaned",
                '_LONG_WORD.sub("…", _QUOTED.sub("…", text))',
                '_QUOTED.sub("…", text)',
            ),
            without(
                "redis/test_troubles.py::test_the_key_in_a_failed_command_is_not_told",
                "redis.watch.Watch.note_failure",
                "explain(error, self._place.speaks_tls)",
                "FleetError(str(error), type(error).__name__)",
            ),
            without(
                "security/test_secrets.py::test_what_says_bytes_holds_a_secret",
                "sessions.ticket_keys.TicketKey.__post_init__",
                'object.__setattr__(self, "key", Secret(self.key))',
                "pass",
            ),
            without(
                "security/test_secrets.py::test_nothing_reachable_holds_a_secret_as_plain_bytes",
                "keys.schedule13.MasterSecret.traffic_secrets",
                "ExporterSecret(suite, exporter)",
                "ExporterSecret(suite, bytes(exporter))",
            ),
            without(
                "security/test_secrets.py::test_it_is_given_away_by_no_means",
                "capture.secrets.KeyLog.add",
                "Secret(secret)",
                "secret",
            ),
            without(
                "crypto/test_secret.py::test_it_is_not_pickled",
                "crypto.secret.Secret.__reduce_ex__",
                "raise TypeError(...)",
                "return object.__reduce_ex__(self, protocol)",
            ),
            without(
                "security/test_secrets.py::test_no_error_repeats_a_misplaced_secret",
                "errors.check_path_text",
                '"-----BEGIN" in text',
            ),
            without(
                "security/test_secrets.py::test_no_error_repeats_a_misplaced_secret",
                "errors.check_path_text",
                "_may_be_key(text) and not _leads_somewhere(text)",
            ),
            without(
                "security/test_secrets.py::test_no_error_repeats_a_misplaced_secret",
                "errors.shown",
                "if issubclass(...): ...",
                "pass",
            ),
            without(
                "security/test_secrets.py::test_no_error_repeats_a_misplaced_secret",
                "errors.shown",
                "if isinstance(...) and ...: ...",
                "pass",
            ),
            without(
                "security/test_secrets.py::test_a_key_log_that_fails_shows_no_secret",
                "handshake.context.HandshakeContext.note_secret",
                "_drop_frames(error)",
                "pass",
            ),
            without(
                "security/test_secrets.py::test_a_key_log_that_is_called_by_others",
                "trace.keylog._KeyLogFile.__call__",
                "del line",
            ),
            without(
                "security/test_secrets.py::test_a_trace_that_cannot_be_written_shows_no_secret",
                "private_files.write_private",
                "data = memoryview(data)",
            ),
            Proof(
                "security/test_secrets.py::test_it_is_given_away_by_no_means",
                (
                    Edit(
                        "trace.events.KeyStep.__post_init__",
                        'object.__setattr__(self, "value", Secret(self.value))',
                        "pass",
                    ),
                    Edit(
                        "trace.events.SecretDerived.__post_init__",
                        'object.__setattr__(self, "value", Secret(self.value))',
                        "pass",
                    ),
                ),
            ),
            Proof(
                "end_to_end/test_data.py::test_nothing_secret_is_recorded_unasked",
                (
                    Edit(
                        "handshake.context.observer_of.tell",
                        'bytes(value) if trace.record_secrets else b""',
                        "bytes(value)",
                    ),
                    Edit(
                        "trace.recorder.EventRecorder.key_step",
                        'bytes(value) if self.record_secrets else b""',
                        "bytes(value)",
                    ),
                ),
            ),
        ),
        (
            "test_config.py::test_the_environment_opens_no_key_log",
            "crypto/test_secret.py::test_neither_a_log_nor_an_exception_shows_it",
            "security/test_secrets.py::test_no_secret_shows_anywhere",
        ),
    ),
    Threat(
        _FILES,
        "Files with secrets that others can read, or that a link leads elsewhere (CWE-59, CWE-732)",
        "Traces, pages, captures and keys go into a new file of mode 0600 that then takes the "
        "name: neither the mode nor the target of what stood there counts. It is written by the "
        "descriptor that made it, so that nobody who can write to the directory, too, gets another "
        "file written, and unlinked if anything fails, an interrupt included. Devices of other "
        "users are refused. Key logs, which are "
        "appended to, refuse links and files of others, and make one of their own private.",
        (
            without(
                "test_private_files.py::test_a_link_is_replaced_and_not_followed",
                "private_files.Draft.rename",
                "os.replace(self.path, path)",
                "Path(path).write_bytes(self.path.read_bytes())",
            ),
            without(
                "test_private_files.py::test_a_link_to_a_device_is_replaced",
                "private_files._special",
                "mode = os.lstat(path).st_mode",
                "mode = os.stat(path).st_mode\npath = os.path.realpath(path)",
            ),
            without(
                "test_private_files.py::test_who_swaps_the_new_file_gets_nothing",
                "private_files._replace",
                "os.fchmod(draft.descriptor, mode)",
                "os.chmod(draft.path, mode)",
            ),
            without(
                "test_private_files.py::test_who_swaps_the_new_file_gets_nothing",
                "private_files.Draft.check",
                "raise _refused(...)",
            ),
            without(
                "test_private_files.py::test_devices_of_other_users",
                "private_files._ours",
                'os.name == "posix" and found.st_uid not in (0, os.geteuid())',
            ),
            without(
                "adversarial/test_files.py::test_a_key_log_that_everybody_could_read",
                "private_files._take_for_us",
                "found.st_mode & 0o077",
            ),
            without(
                "adversarial/test_files.py::test_nothing_is_written_through_a_link",
                "private_files._WITHOUT_SURPRISES",
                'getattr(os, "O_NOFOLLOW", 0)',
                "0",
            ),
            without(
                "test_private_files.py::test_what_belongs_to_another_user",
                "private_files._take_for_us",
                "found.st_uid != os.geteuid()",
            ),
            Proof(
                "test_private_files.py::test_an_interrupt_leaves_no_secret_behind",
                (Edit("private_files.draft_private", "os.unlink(path)", "pass"),),
            ),
            Proof(
                "sessions/test_store.py::test_an_interrupt_while_a_file_that_is_full_is_replaced",
                (
                    Edit(
                        "private_files.draft_private",
                        "os.unlink(path)",
                        "pass",
                    ),
                ),
            ),
            Proof(
                "sessions/test_store.py::test_what_was_taken_is_gone_from_the_file",
                (
                    Edit(
                        "sessions.session_file._overwrite",
                        "_GONE * (size - _NAME_SIZE - 2)",
                        "_GONE",
                    ),
                ),
            ),
        ),
        (
            "adversarial/test_files.py::test_an_old_mode_does_not_stay",
            "test_private_files.py::test_nothing_is_appended_through_a_link",
            "test_private_files.py::test_who_has_the_old_file_open_does_not_see_the_new_one",
            "certificates/test_authority.py::TestKeeping::test_only_the_owner_can_read_the_key",
        ),
    ),
    Threat(
        _FILES,
        "A server of files gives out others (links, NUL, its own keys and logs; CWE-22, CWE-59)",
        "One function of `handclasp serve` decides, on the opened file: it is reached from the "
        "directory downward without a link, is a regular file, not hidden, not private to its "
        "owner, not the server's own under any name, and no private key, key log or secret of this "
        "program's is recognised in its first MiB (--help says in which forms). An index and each "
        "entry of a listing go through it, too.",
        (
            without(
                "cli/test_site.py::test_a_file_that_becomes_a_link_meanwhile",
                "serving.site._COMMON",
                'getattr(os, "O_NOFOLLOW", 0)',
                "0",
            ),
            Proof(
                "cli/test_site.py::test_what_may_not_be_seen_is_not_there",
                (
                    Edit("serving.site.Site._resolved", "raise NotServedError(...)", "pass"),
                    Edit("serving.site.Site._open", 'name.startswith(".")', "False"),
                ),
            ),
            without(
                "cli/test_site.py::test_the_servers_own_files_are_kept_back",
                "serving.site.Private.check",
                "any(each in self._found for each in (identity, *map(_identity, above)))",
            ),
            without(
                "cli/test_site.py::test_keys_are_kept_back_whatever_they_are_called",
                "serving.key_material._in_text",
                "is_likely",
            ),
            without(
                "cli/test_site.py::test_keys_are_kept_back_whatever_they_are_called",
                "serving.key_material.key_material_in",
                "(data[::2], data[1::2])",
                "()",
            ),
            without(
                "cli/test_site.py::test_keys_are_kept_back_whatever_they_are_called",
                "serving.key_material._in_text",
                "any(word in data and line.search(data) for word, line in _KEY_LOGS)",
            ),
            without(
                "cli/test_site.py::test_keys_are_kept_back_whatever_they_are_called",
                "serving.key_material._in_text",
                "any(key in folded for key in _KEY_IN_BASE64)",
            ),
            without(
                "cli/test_site.py::test_keys_are_kept_back_whatever_they_are_called",
                "serving.key_material._in_text",
                "any(map(_DER_KEY.match, _decoded(data)))",
            ),
            without(
                "cli/test_site.py::test_keys_are_kept_back_whatever_they_are_called",
                "serving.key_material._in_text",
                "any(map(_DER_KEY.match, _digits(data)))",
            ),
            without(
                "cli/test_site.py::test_keys_are_kept_back_whatever_they_are_called",
                "serving.key_material._in_text",
                "_KEY_IN_HEX.search(folded)",
            ),
            without(
                "cli/test_site.py::test_keys_are_kept_back_whatever_they_are_called",
                "serving.key_material._in_text",
                'b"kty" in data and _JSON_WEB_KEY.search(data)',
            ),
            without(
                "cli/test_site.py::test_sessions_are_kept_back_wherever_they_are",
                "serving.key_material._in_text",
                "_SESSIONS.search(data)",
            ),
            without(
                "cli/test_site.py::test_secrets_of_this_program_are_kept_back_whatever_their_modes",
                "serving.key_material._in_text",
                "_TRACE in data[:_FIRST_BYTES] and _SECRET_OF_A_TRACE.search(data)",
            ),
            without(
                "cli/test_site.py::test_secrets_of_this_program_are_kept_back_whatever_their_modes",
                "serving.key_material._in_text",
                "_PAGE_SECRET in data and _SECRET_OF_A_PAGE.search(data)",
            ),
            Proof(
                "cli/test_site.py::test_secrets_of_this_program_are_kept_back_whatever_their_modes",
                (
                    Edit(
                        "serving.key_material.key_material_in", "_SESSION_FILE.match(data)", "False"
                    ),
                    Edit("serving.key_material._in_text", "_SESSIONS.search(data)", "False"),
                ),
            ),
            without(
                "cli/test_site.py::test_a_file_that_was_just_written_is_searched_again",
                "serving.site._Verdicts.check",
                "max(times) < now - _tick_ns(times)",
                "True",
            ),
            without(
                "cli/test_site.py::test_sockets_and_devices_are_not_opened",
                "serving.site._walk",
                "raise NotServedError(...)",
            ),
            without(
                "cli/test_site.py::test_a_listing_shows_only_what_is_given",
                "serving.files.Files._listing",
                "continue",
                "found = self._site.open(names)",
            ),
            without(
                "cli/test_site.py::test_a_body_is_not_taken_for_a_request",
                "serving.http.HTTPProtocol._read_head",
                "not heads.has_body(head)",
                "True",
            ),
        ),
    ),
    Threat(
        _FILES,
        "Answers inserted before TLS, or the offer of TLS taken out on the way (CVE-2021-23222)",
        "Bytes after the answer that begins TLS are refused, in each of nine protocols: they came "
        "in the clear. A server that does not offer TLS, or has logged the client in already "
        "(PREAUTH), ends in an error, and nothing is said without TLS after that. A dialogue takes "
        "at most 64 KiB, in lines of at most 8 KiB.",
        (
            without(
                "starttls/test_dialogues.py::test_bytes_after_the_go_ahead_are_refused",
                "starttls.dialogue.Dialogue._resume",
                "self._talk.heard",
            ),
            without(
                "starttls/test_dialogues.py::test_a_server_that_does_not",
                "starttls.mail.smtp",
                'b"STARTTLS" not in keywords',
            ),
            without(
                "starttls/test_dialogues.py::test_a_server_that_does_not",
                "starttls.binary.mysql",
                'not int.from_bytes(rest[13:15], "little") & _MYSQL_SSL',
            ),
            without(
                "starttls/test_dialogues.py::test_endless_bytes_end_at_the_bound",
                "starttls.dialogue.Talk.hear",
                "self._total > MOST_BYTES",
            ),
        ),
        ("starttls/test_dialogues.py::test_anything_ends_in_a_typed_error_within_bounds",),
    ),
    Threat(
        _FILES,
        "A server that holds up or fills a scanner, or makes it speak what is broken",
        "A scan reads an answer up to a size, a time and a number of connections for each host, "
        "and turns what is malformed into words of its report. The hellos of old versions and weak "
        "suites are made apart from the engine: only the first flight of the answer is read, and "
        "nothing can answer it but a malformed key exchange of RSA, with random in place of the "
        "Finished. The numbers of a server's key are bounded before they are computed with.",
        (
            without(
                "scan/test_answer.py::test_a_server_that_never_ends_is_left",
                "scan.answer.AnswerReader.receive_data",
                "self._total > MOST_BYTES",
            ),
            without(
                "scan/test_answer.py::test_a_flight_has_few_messages",
                "scan.answer.AnswerReader._read_messages",
                "self._count > _MOST_MESSAGES",
            ),
            without(
                "scan/test_answer.py::test_bad_answers_say_what_they_are",
                "scan.answer.AnswerReader._read_messages",
                "check_message_size(...)",
            ),
            without(
                "scan/test_runner.py::test_a_host_has_a_time_and_a_number_of_connections",
                "scan.runner._Host._perform",
                "self._report.connections >= most",
            ),
            without(
                "scan/test_robot.py::test_keys_that_cost_too_much_are_left_alone",
                "scan.robot._key_of",
                "size > LARGEST_BITS or exponent > _LARGEST_EXPONENT",
            ),
        ),
        (
            "scan/test_answer.py::test_any_bytes_give_an_answer",
            "scan/test_runner.py::test_no_server_holds_a_scan_up",
        ),
    ),
    Threat(
        _FILES,
        "Secrets of a program that is watched, and connections that fill the memory (CWE-532, "
        "CWE-400)",
        "`handclasp watch` keeps the key log of a program in a directory of mode 0700, and removes "
        "it in every case, also if signals end it. Of each connection it holds one read in each "
        "direction, records as much as fits into so much memory, and forgets it once it has ended; "
        "the secrets of so many connections are kept. Requests to its proxy are read strictly, up "
        "to 64 KiB. The report on a connection has so many messages and lines, whatever came.",
        (
            without(
                "cli/test_watch.py::test_the_environment_of_the_program",
                "cli.private_places.private_directory",
                "shutil.rmtree(path, ignore_errors=True)",
                "pass",
            ),
            without(
                "capture/test_relay.py::test_a_record_takes_no_more_memory_than_its_limit",
                "capture.relay.Relayed.note",
                "len(self._pieces) * _PIECE_BYTES",
                "0",
            ),
            without(
                "story/test_narrate.py::test_many_messages_are_told_in_bounded_lines",
                "story.flights._first_items",
                "flight.events[:room]",
                "flight.events",
            ),
            without(
                "story/test_narrate.py::test_a_message_of_many_fields_is_told_in_bounded_lines",
                "story.narrate._Unfolded.lines",
                "islice(lines, self._room)",
                "lines",
            ),
            without(
                "capture/test_proxy_head.py::test_a_head_without_an_end_is_refused_at_the_bound",
                "capture.proxy_head.read_request",
                "len(data) >= LONGEST_HEAD",
            ),
            without(
                "capture/test_watching.py"
                "::test_only_so_many_connections_of_a_key_log_are_remembered",
                "capture.watching.KeyLogFile._add",
                "self.secrets.forget_all_but(MOST_REMEMBERED)",
                "pass",
            ),
        ),
        ("capture/test_relay.py::test_a_client_that_does_not_read_stops_the_server",),
    ),
    Threat(
        _FILES,
        "Others who read the page of `watch --live`: users of the machine, pages of others that "
        "rebind a name (CWE-306, CWE-350)",
        "Every path begins with a secret of 144 bits, made for the run; the Host must be this "
        "machine's. The page allows no script but its own, leaves no Referer, and keeps so many "
        "connections.",
        (
            without(
                "cli/test_watch_live.py::test_who_does_not_know_the_address_gets_nothing",
                "cli.watched_live.WatchedPages.__init__",
                "secrets.token_urlsafe(18)",
                "''",
            ),
            without(
                "cli/test_watch_live.py::test_who_does_not_know_the_address_gets_nothing",
                "cli.watched_live.WatchedPages.__call__",
                'answers.headers.get("host") not in self._hosts',
            ),
            without(
                "cli/test_watch_live.py::test_only_the_newest_are_kept",
                "cli.watched_live.WatchedPages.add",
                "len(self._reports) > MOST_REMEMBERED",
            ),
        ),
        ("cli/test_watch_live.py::test_the_page_allows_no_script_of_others",),
    ),
    Threat(
        _FILES,
        "A certificate of our own that hides a bad one of the server (CWE-295, CWE-296)",
        "`handclasp watch --intercept` verifies the server for the name that the client asked for, "
        "before the client gets a certificate for it; if that fails, the client is refused. The "
        "key of its authority is in memory alone, and programs hear of it only with that option. "
        "It keeps so many certificates.",
        (
            without(
                "cli/test_watch_intercept.py"
                "::test_a_server_that_fails_is_not_hidden_by_a_good_certificate",
                "cli.intercept.Intercepting._between",
                "raise NotPassedOn from error",
                "return None",
            ),
            without(
                "cli/test_watch_intercept.py"
                "::test_the_environment_names_the_authority_only_when_it_intercepts",
                "cli.program.environment_of",
                "authority is not None",
                "True",
            ),
            without(
                "cli/test_watch_intercept.py::test_only_so_many_certificates_are_kept",
                "cli.intercept.Issued.to",
                "len(self._by_name) > MOST_CERTIFICATES",
            ),
        ),
        (
            "cli/test_watch_intercept.py::test_a_reset_arrives_as_a_reset",
            "cli/test_watch_intercept.py::test_a_client_that_does_not_read_stops_the_server",
        ),
    ),
    Threat(
        _FILES,
        "A certificate that has this machine fetch from anywhere (SSRF, CWE-918)",
        "`handclasp cert fix` fetches the issuer that a certificate names only if --fetch asks for "
        "it, from http and https alone, in bounded size and number, and takes it only if its key "
        "made the signature. Nothing else in handclasp follows a certificate's URLs.",
        (
            without(
                "cli/test_cert_fix.py::test_what_is_missing_is_named_and_not_fetched",
                "cli.cert.cert_fix",
                "fetch_missing(given, trust) if fetch else (before, [])",
                "fetch_missing(given, trust)",
            ),
            without(
                "certificates/test_doctor.py"
                "::test_a_certificate_of_the_right_name_and_another_key_is_no_issuer",
                "certificates.doctor._Search._is_issued",
                "is_signed_by(certificate, issuer)",
                "True",
            ),
        ),
        ("cli/test_cert_fix.py::test_what_is_fetched_must_be_the_issuer_and_of_bounded_size",),
    ),
    Threat(
        _FILES,
        "Requests smuggled past a gateway; clients that drip (CWE-444, CWE-400)",
        "`handclasp serve` and the demo read the head of a request strictly: a line that RFC 9112 "
        "does not allow, two lengths or hosts, a host that no URI has, and a coding that is not "
        "known are refused with 400 or 501 and the end of the connection. No body is read, and "
        "nothing is after one. The head must be there in ten seconds, however it is divided, and "
        "in 64 KiB.",
        (
            without(
                "cli/test_site.py::test_a_head_that_gateways_may_read_otherwise",
                "serving.heads.fault_of",
                "not _FIELDS.fullmatch(rest)",
            ),
            without(
                "cli/test_site.py::test_a_host_is_one_of_a_uri",
                "serving.heads._fault_of_framing",
                "hosts and not _HOST.fullmatch(hosts[0])",
            ),
            without(
                "cli/test_site.py::test_a_head_that_gateways_may_read_otherwise",
                "serving.heads._fault_of_framing",
                "codings and (lengths or not is_http11)",
            ),
            without(
                "cli/test_site.py::test_a_line_that_is_no_request",
                "serving.heads.fault_of",
                'not _REQUEST_LINE.fullmatch(line + b"\\r\\n")',
            ),
            without(
                "cli/test_site.py::test_a_head_without_end",
                "serving.heads.fault_of_beginning",
                "len(head) > MAX_HEAD_BYTES",
            ),
            without(
                "cli/test_site.py::test_a_client_that_drips_is_let_go",
                "serving.http.HTTPProtocol._expect_head",
                "self._serving.limits.header_timeout",
                "3600.0",
            ),
        ),
        ("cli/test_site.py::test_requests_one_after_the_other",),
    ),
    Threat(
        _SERVICE,
        "Clients that name other addresses, or pass by a load balancer (CWE-290, CWE-348)",
        "A header of the PROXY protocol is read from given addresses alone, if the settings ask "
        "for one. Then no connection gets to TLS without one, within the time of a hello. It is "
        "read strictly, up to 107 bytes (version 1) or 4,096 (version 2), and so many at once. The "
        "client's address then counts for all shares.",
        (
            without(
                "adapters/test_proxied.py::test_only_the_balancers_may_connect",
                "adapters.proxied.Anteroom.enter",
                "not self._proxies.include(address)",
            ),
            without(
                "adapters/test_proxied.py::test_connections_that_send_no_header_are_bounded",
                "adapters.proxied.Anteroom.enter",
                "self._reading and (is_short or len(self._reading) >= self._size)",
            ),
            without(
                "adapters/test_proxied.py::test_without_a_header_nobody_is_served",
                "adapters.proxied.Anteroom._read",
                "self._seconds",
                "None",
            ),
            without(
                "starttls/test_proxy_protocol.py::test_what_is_refused",
                "starttls.proxy_protocol._needed_of_line",
                "len(found) + needed > MAX_LINE_BYTES",
            ),
            without(
                "starttls/test_proxy_protocol.py::test_what_is_refused",
                "starttls.proxy_protocol._needed_of_binary",
                "size > MAX_HEADER_BYTES",
            ),
        ),
        (
            "adapters/test_proxied.py::test_shares_are_those_of_the_clients",
            "cli/test_serve_proxied.py::test_an_empty_list_of_balancers_is_refused",
        ),
    ),
    Threat(
        _FILES,
        "Clients that take all places of `handclasp serve`, or its log (CWE-400, CWE-770, CWE-779)",
        "Handshakes are bounded as in every asyncio server of the library. Connections are bounded "
        "in number: above that, idle ones make room, and an address that holds many yields to one "
        "that holds few. Silent and dripping clients have a time, and so have those that take "
        "nothing of their answer. Lines about failures are bounded, and the others are counted; an "
        "output that hangs costs bounded memory. The labels of metrics are names of this program.",
        (
            without(
                "adapters/test_metrics.py::test_alerts_without_a_name_are_one_series",
                "metrics._fault_of",
                'error.alert.startswith("alert ")',
            ),
            without(
                "serving/test_limits.py::test_idle_clients_make_room_for_new_ones",
                "serving.crowd.Crowd._who_leaves",
                "idle",
                "False",
            ),
            without(
                "serving/test_files.py::test_lists_of_directories_leave_threads_for_files",
                "serving.files.Files.__init__",
                "asyncio.Semaphore(_LISTINGS)",
                "asyncio.Semaphore(99)",
            ),
            without(
                "serving/test_limits.py::test_one_address_cannot_take_all_places",
                "serving.crowd.Crowd._who_leaves",
                "larger and len(larger[0]) >= own + 2",
            ),
            without(
                "serving/test_limits.py::test_idle_ones_of_smaller_shares_stay",
                "serving.crowd.Crowd._who_leaves",
                "len(each) >= max(1, own)",
                "True",
            ),
            without(
                "serving/test_limits.py::test_a_client_that_takes_nothing_is_cut_off",
                "serving.http.HTTPProtocol._look",
                "self._serving.limits.stall_timeout",
                "3600.0",
            ),
            without(
                "cli/test_journal.py::test_many_failures_are_counted",
                "serving.throttle.Throttle.allows",
                "self._left >= 1",
                "True",
            ),
            without(
                "cli/test_journal.py::test_what_strangers_can_fill_is_bounded",
                "serving.throttle.Throttle.allows",
                "len(summary.sources) < _MOST_SOURCES",
                "True",
            ),
            without(
                "cli/test_journal.py::test_an_output_that_hangs_costs_bounded_memory",
                "serving.clerk.Clerk.put",
                "len(self._jobs) >= self._most",
            ),
        ),
        (
            "serving/test_limits.py::test_silent_clients_do_not_lock_anybody_out",
            "serving/test_service.py::test_few_descriptors_cost_no_processor",
        ),
    ),
    Threat(
        _FILES,
        "An answer that a client takes for a part of another one (CWE-444)",
        "`handclasp serve` aborts the connection where a file becomes shorter while it is sent. It "
        "answers one request after the other, each by what was early of it.",
        (
            without(
                "serving/test_files.py::test_a_file_that_becomes_shorter_ends_its_connection",
                "serving.files.Files.__call__",
                "client.cut_off()",
            ),
        ),
    ),
    Threat(
        _FILES,
        "Much work for one question about a directory (CWE-407)",
        "`handclasp serve` remembers what it found in files that have not changed since, for so "
        "many files and no more, and looks through its own directories once for a listing.",
        (
            without(
                "cli/test_site.py::test_a_listing_searches_no_file_twice",
                "serving.site._Verdicts.check",
                "state in self._known",
            ),
            without(
                "cli/test_site.py::test_a_listing_searches_no_file_twice",
                "serving.site._Verdicts.check",
                "(status.st_mtime_ns, status.st_ctime_ns)",
                "(status.st_mtime_ns,)",
            ),
            without(
                "cli/test_site.py::test_what_is_remembered_of_files_is_bounded",
                "serving.site._Verdicts._remember",
                "len(self._known) >= _MOST_VERDICTS",
            ),
            without(
                "cli/test_site.py::test_traces_are_looked_through_once_for_a_listing",
                "serving.files.Files._listing",
                "private",
                "None",
            ),
        ),
    ),
    Threat(
        _FILES,
        "A peer's bytes taken for a tool's remarks; one bad conversation hides the others",
        "Captures are read by fields that are numbers, addresses and hexadecimal digits. What is "
        "missing shows in sequence numbers and in what the other end acknowledged; each "
        "conversation stands for itself, and so does what a tunnel carries. What the other end's "
        "kernel drops does not count. tshark runs with the dissectors that lead to TCP, and no "
        "others.",
        (
            without(
                "capture/test_tshark_reader.py::test_a_stream_that_is_bad_does_not_hide_another",
                "capture.tshark.streams_of",
                "streams[each.number] = error",
                "raise",
            ),
            without(
                "capture/test_segments.py::TestHostilePeers::test_segments_that_nobody_received",
                "capture.segments._Direction.beyond_holes",
                "was_received",
                "True",
            ),
            *(
                without(
                    "capture/test_segments.py::TestWhatTheOtherEndDrops::" + test,
                    where,
                    old,
                    new,
                )
                for test, where, old, new in (
                    (
                        "test_it_is_not_said",
                        "capture.received._doubtful",
                        "segment.is_dropped",
                        "False",
                    ),
                    ("test_it_is_not_said", "capture.received._doubtful", "too_far", "False"),
                    ("test_it_is_not_said", "capture.received._doubtful", "is_damaged", "False"),
                    ("test_it_is_not_said", "capture.received.received_of", "segment.syn", "False"),
                    (
                        "test_data_of_a_syn_counts_as_far_as_it_was_acknowledged",
                        "capture.received._Side.cut",
                        "believed >= segment.size",
                        "True",
                    ),
                )
            ),
            without(
                "capture/test_tshark_reader.py::test_a_tunnel_is_a_conversation_of_its_own",
                "capture.tshark._within",
                "words[2:6]",
                "()",
            ),
            without(
                "cli/test_explain.py::test_tshark_dissects_nothing_but_the_way_to_tcp",
                "capture.tshark._not_needed",
                "name not in _NEEDED",
                "name in ()",
            ),
        ),
        (
            "cli/test_explain.py::test_no_words_of_a_peer_end_the_explanation",
            "capture/test_segments.py::test_no_words_of_a_peer_are_a_remark",
            "capture/test_segments.py::TestHostilePeers::test_an_end_that_nobody_received",
        ),
    ),
    Threat(
        _FILES,
        "A trace whose page shows a command that does more, to somebody who copies it",
        "The commands of OpenSSL beside the steps of a key schedule hold hexadecimal digits, and "
        "labels. A label of a trace that somebody else wrote may be any text: it is quoted for the "
        "shell, and stays one argument.",
        (
            without(
                "story/page/test_recomputing.py::test_a_label_of_a_forged_trace_stays_an_argument",
                "story.page.recomputing._command",
                "quote(option)",
                "option",
            ),
        ),
    ),
    Threat(
        _FILES,
        "A capture that takes its reader for ever, or makes an unbounded page",
        "Segments are put together, conversations found, followed and told with work in "
        "proportion to the bytes of the capture, whatever the two ends say and in whatever order "
        "it was captured. Of each message, and of all together, a page shows a bounded number of "
        "fields, and counts the rest.",
        (
            without(
                "capture/test_work.py::test_what_is_said_is_followed",
                "capture.conversation.Conversation.extension",
                "self.last.get((role, kind))",
                "next((m for r, m in reversed(self.said) if (r, type(m)) == (role, kind)), None)",
            ),
            Proof(
                "capture/test_work.py::test_what_is_said_is_followed",
                (
                    Edit(
                        "capture.agreed.settle",
                        "if answer is None:\n    return",
                        "pass",
                    ),
                    Edit(
                        "capture.agreed.settle",
                        "len(finished) == len(talk.sides)",
                        "len(finished) > 1 and [m for m in talk.said if m[1] is answer]",
                    ),
                ),
            ),
            without(
                "capture/test_work.py::test_a_record_of_a_late_server_is_searched_once",
                "capture.observe._records",
                "None if side.is_searched else _FIRST_RECORD.search(buffer, 0, _LOOKED_AT)",
                "_FIRST_RECORD.search(buffer, 0, _LOOKED_AT)",
            ),
            without(
                "capture/test_work.py::test_two_ends_that_finish_after_a_request_to_retry_alone",
                "capture.messages._server_hello",
                "if hello.is_hello_retry_request:\n    return\ntalk.answer = talk.answer or hello",
                "talk.answer = talk.answer or hello\nif hello.is_hello_retry_request:\n    return",
            ),
            without(
                "story/page/test_records.py"
                "::test_of_very_many_the_first_are_listed_and_the_others_counted",
                "story.page.records.records_of",
                "islice(_records(events, facts), MOST_RECORDS)",
                "_records(events, facts)",
            ),
            without(
                "story/page/test_conversation.py::test_of_a_long_list_the_first_fields_have_a_row",
                "story.page.conversation._rows",
                "islice(_within(field, 0), MOST_FIELDS)",
                "_within(field, 0)",
            ),
            without(
                "story/page/test_conversation.py"
                "::test_of_very_many_long_messages_the_first_ones_are_opened",
                "story.page.conversation.flights_of",
                "rows < MOST_ROWS",
                "True",
            ),
        ),
        (
            "capture/test_work.py::test_segments_are_put_together",
            "capture/test_work.py::test_conversations_are_found",
            "capture/test_work.py::test_gaps",
            "capture/test_work.py::test_endings",
            "adversarial/test_worst_inputs.py::"
            "test_it_costs_so_much_per_byte_and_twice_as_much_for_twice_as_many",
        ),
    ),
    Threat(
        _FILES,
        "Escape sequences of a stranger's on the terminal (CWE-150)",
        "What is printed of peers, of certificates and of files has no control characters left; "
        "what the output's encoding does not have is escaped, and a trace with text that is none "
        "or numbers beyond all bounds is refused.",
        (
            without(
                "cli/test_terminal.py::test_an_output_that_cannot_show_a_name",
                "cli._run",
                "isinstance(stream, TextIOWrapper)",
            ),
            without(
                "cli/test_terminal.py::test_a_report_that_fails_does_not_end_the_conversation",
                "serving.server._hear",
                "suppress(OSError, ValueError)",
                "suppress(OSError)",
            ),
            without(
                "trace/test_format.py::test_what_no_reader_could_use_is_refused",
                "trace.format._read_text",
                'text.encode("utf-8")',
                "pass",
            ),
            without(
                "trace/test_format.py::test_what_no_reader_could_use_is_refused",
                "trace.format.read_number",
                "raise ValueError(...)",
            ),
            without(
                "cli/test_serve.py::test_a_capture_on_a_full_disk",
                "cli.serve._record",
                "capture.close_and_tell",
                "capture.close",
            ),
            without(
                "cli/test_terminal.py::test_diff",
                "cli.diff._wrapped",
                "printable(text, len(text))",
                "text",
            ),
            without(
                "cli/test_terminal.py::test_explain",
                "cli.report._clean",
                "printable(text, len(text))",
                "text",
            ),
        ),
        ("cli/test_explain.py::test_nothing_of_others_reaches_the_terminal",),
    ),
    Threat(
        _FILES,
        "The stolen key of a local authority, trusted by browsers",
        "A new authority bears name constraints for local names and private addresses, unless "
        "others are asked for; this library, Chromium, Firefox and GnuTLS hold it to them. So does "
        "OpenSSL, except where a common name has a wildcard and no DNS name stands in "
        "subjectAltName: there only the two years end a theft for which the authority is valid.",
        (
            without(
                "certificates/test_authority.py::TestBounds"
                "::test_with_its_key_nobody_is_anybody_else",
                "certificates.authority._authority",
                "constraints is None",
                "True",
            ),
            without(
                "certificates/test_authority.py::TestBounds"
                "::test_a_common_name_is_no_way_around_them",
                "certificates.authority._authority",
                "constraints is None",
                "True",
            ),
            without(
                "certificates/test_authority.py::TestBounds::test_a_theft_ends_by_itself",
                "certificates.authority._AUTHORITY_DAYS",
                "730",
                "3650",
            ),
        ),
        (
            "certificates/test_authority.py::TestBounds::test_it_issues_for_no_others",
            "browser/test_chromium.py::test_the_authoritys_key_is_of_no_use_against_others",
            "browser/test_firefox.py::test_the_authoritys_key_is_of_no_use_against_others",
        ),
    ),
    Threat(
        _FILES,
        "A server's key that every user of the machine can read (CWE-732)",
        "It is used, since containers know no other users, and a warning of the logger "
        '"handclasp" says so each time that it is loaded.',
        (
            without(
                "certificates/test_key_files.py::test_it_depends_on_the_mode",
                "certificates.key_files.exposure",
                "mode & 0o004",
            ),
        ),
        (
            "certificates/test_key_files.py::test_one_that_changes_later",
            "cli/test_serve.py::test_a_key_that_everybody_can_read",
        ),
    ),
    Threat(
        _COMPAT,
        "Another context in sni_callback, which asks for less than the first",
        "How the peer is verified, the versions and the options stay those of the context that the "
        "connection was made with, as with OpenSSL; where the new context is stricter, that holds "
        "as well. So does a client that gets another context before its handshake.",
        (
            without(
                "compat/test_fail_closed.py::test_each_demand_of_the_first_context_holds",
                "compat.settings.State.after",
                "max(first.verify_mode, self.verify_mode)",
                "self.verify_mode",
            ),
            without(
                "compat/test_fail_closed.py::test_each_demand_of_the_first_context_holds",
                "compat.settings.State.after",
                "first.verify_flags | self.verify_flags",
                "self.verify_flags",
            ),
            without(
                "compat/test_fail_closed.py::test_each_demand_of_the_first_context_holds",
                "compat.settings._shared",
                "each in state.allowed",
                "True",
            ),
            without(
                "compat/test_fail_closed.py::test_each_demand_of_the_first_context_holds",
                "compat.settings.State.after",
                "first.check_hostname or self.check_hostname",
                "self.check_hostname",
            ),
            without(
                "compat/test_fail_closed.py::test_each_demand_of_the_first_context_holds",
                "compat.settings.State.after",
                "flags & ~lenient",
                "flags",
            ),
        ),
        (
            "compat/test_fail_closed.py"
            "::test_a_context_that_replaces_another_loses_none_of_its_demands",
        ),
    ),
    Threat(
        _COMPAT,
        "A context that was given no authority, and trusts anybody",
        "It trusts nobody, as with OpenSSL, although a native client would trust the system's.",
        (
            without(
                "compat/test_fail_closed.py::test_the_matrix_can_tell",
                "compat.authorities.Verifier.__call__",
                "if trust is None: ...",
                "if trust is None:\n    return vouch_for(chain)",
            ),
        ),
        ("compat/test_fail_closed.py::test_ours_accepts_only_what_ssl_accepts",),
    ),
    Threat(
        _COMPAT,
        "The certificate of another server, where a name is to be checked",
        "check_hostname compares the name, and refuses every server where there is none to "
        "compare, which ssl itself does over sockets only. A name is accepted in the spellings "
        "that ssl accepts, and in no other.",
        (
            without(
                "compat/test_fail_closed.py::test_the_matrix_can_tell",
                "compat.authorities.Verifier._verify",
                "question.server_name if self._check_hostname else None",
                "None",
            ),
            without(
                "compat/test_fail_closed.py::test_a_name_to_compare_is_needed",
                "compat.authorities.Verifier._verify",
                "name is None and self._check_hostname and not self._written",
            ),
            without(
                "compat/test_fail_closed.py::test_ours_accepts_only_names_that_ssl_accepts",
                "compat.link.Link._made_connection",
                "isinstance(verify, Verifier)",
            ),
        ),
    ),
    Threat(
        _COMPAT,
        "A setting of ssl that this library cannot honour, and ignores",
        "It raises where it is set, unless what it asks for is so in any case.",
        (
            without(
                "compat/test_fail_closed.py::test_settings_that_cannot_be_honoured",
                "compat.settings.check_flags",
                "(unknown := index(flags) & ~int(KNOWN_FLAGS))",
            ),
            without(
                "compat/test_fail_closed.py::test_settings_that_cannot_be_honoured",
                "compat.context.SSLContext.maximum_version",
                "settings_of(self) is not None and value in _BELOW_TLS12",
            ),
            without(
                "compat/test_fail_closed.py::test_ciphers_that_cannot_be_honoured",
                "compat.context.SSLContext.set_ciphers",
                'asks_for_tls12 and not of_version(suites_of(chosen), "TLSv1.2")',
            ),
        ),
        (
            "compat/test_fail_closed.py::test_protocols_that_cannot_be_honoured",
            "compat/test_fail_closed.py::test_new_settings_of_ssl_cannot_be_honoured",
            "compat/test_more.py::test_keys_need_tls13",
        ),
    ),
    Threat(
        _COMPAT,
        "A server that does not know the pre-shared key, and shows a certificate to a client that "
        "verifies none",
        "A client that offers a key and has CERT_NONE takes no certificate: the key is its only "
        "proof of the server. With ssl, it would take anybody's. Where TLS 1.3 is left out, so "
        "that the key could not be used, the setting that does so is refused. So are keys that are "
        "short enough to be tried out, and another context in sni_callback brings none.",
        (
            without(
                "compat/test_pairs_of_settings.py"
                "::test_a_client_that_could_rely_on_nothing_is_refused_when_it_is_set_up",
                "compat.settings.check_offer",
                'offer is not None and verify_mode == ssl.CERT_NONE and "TLSv1.3" not in versions',
            ),
            without(
                "compat/test_more.py::test_a_client_that_verifies_nobody_relies_on_the_key",
                "compat.psk.Offer.added_to",
                "config.verify_peer",
                "True",
            ),
            without(
                "compat/test_more.py::test_another_context_does_not_bring_keys",
                "compat.settings.State.after",
                "first.finder",
                "self.finder",
            ),
        ),
        ("compat/test_more.py::test_a_short_key_is_refused",),
    ),
    Threat(
        _COMPAT,
        "Data in the clear, from a thread that sends while another one closes the socket",
        "The socket is closed, or shut down, before its connection is forgotten. In ssl it is the "
        "other way round, and what is sent in between is not encrypted, or, after SHUT_RD, what is "
        "sent at any time.",
        (
            without(
                "compat/test_pitfalls.py::test_what_is_sent_while_it_closes_is_not_in_the_clear",
                "compat.more.SSLSocket._real_close",
                "socket.socket._real_close(self, *arguments)",
                "pass",
            ),
            without(
                "compat/test_pitfalls.py::test_what_is_sent_after_a_shutdown_is_not_in_the_clear",
                "compat.more.SSLSocket.shutdown",
                "how != socket.SHUT_RD",
                "True",
            ),
            without(
                "compat/test_pitfalls.py::test_what_is_sent_during_a_shutdown_is_not_in_the_clear",
                "compat.more.SSLSocket.shutdown",
                "socket.socket.shutdown(self, how)",
                "super().shutdown(how)",
            ),
        ),
    ),
    Threat(
        _COMPAT,
        "Early data that reach a server which is not accepted, or are taken for ordinary data",
        "They leave only if the program calls send_early_data, and to a server whose certificates "
        "are verified anew before anything leaves, for the name of this connection. A server takes "
        "none by default, and never returns them from recv.",
        (
            without(
                "compat/test_more.py::test_no_early_data_to_a_server_that_is_not_accepted_any_more",
                "compat.sessions.OneConnection.take",
                "self._is_accepted(found)",
                "True",
            ),
            without(
                "compat/test_more.py::test_no_early_data_to_a_server_of_another_name",
                "compat.sessions.OneConnection.take",
                "self._is_accepted(found)",
                "True",
            ),
            without(
                "compat/test_more.py::test_a_context_takes_the_fewer_early_data_of_two",
                "compat.settings.State.after",
                "min(first.max_early_data, self.max_early_data)",
                "first.max_early_data",
            ),
        ),
        (
            "compat/test_more.py::test_a_server_takes_no_early_data_by_default",
            "compat/test_more.py::test_a_client_sends_no_early_data_unasked",
        ),
    ),
    Threat(
        _COMPAT,
        "A hello in a form in which sni_callback is not asked about it",
        "The engine asks by itself, once it has read the hello that it will answer, and answers "
        "nothing before. Whatever a client sends, it gets no ServerHello unless the callback has "
        "let it in.",
        (
            without(
                "compat/test_sni_callback.py::test_nobody_is_served_whom_it_did_not_let_in",
                "handshake.server.server_handshake",
                "config.choose_config is not None",
            ),
            without(
                "compat/test_sni_callback.py::test_the_context_of_a_name_counts_in_each_form",
                "compat.link.Link._choose_context",
                "context.sni_callback is not None",
            ),
            without(
                "compat/test_sni_callback.py::test_an_interrupt_in_the_callback_lets_nobody_in",
                "compat.link.Link._choose_context",
                "connection.refuse(question, _interrupted(error))",
                "connection.answer(question, self._config)",
            ),
            without(
                "end_to_end/test_choose_config.py::test_the_chosen_config_is_the_connections",
                "handshake.server._choose_config",
                "await hs.follow(chosen)",
                "pass",
            ),
        ),
        (
            "compat/test_sni_callback.py::test_nobody_is_served_by_any_other_input",
            "compat/test_sni_callback.py::test_it_is_asked_once_where_the_hello_comes_twice",
            "end_to_end/test_three_ways.py::test_the_same_in_three_ways",
        ),
    ),
    Threat(
        _COMPAT,
        "A connection that lives on after its fatal alert",
        "It is over (RFC 9846 section 6.2): each call raises the failure again, and none waits for "
        "the peer.",
        (
            without(
                "compat/test_sni_callback.py::test_an_interrupt_in_the_callback_lets_nobody_in",
                "compat.link.Link._feed",
                "self._end(connection)",
                "pass",
            ),
            Proof(
                "compat/test_sni_callback.py::test_who_was_refused_stays_refused",
                (
                    Edit("compat.link.Link._handshake", "self._is_over", "False"),
                    Edit("compat.link.Link._complete", "self._is_over", "False"),
                ),
            ),
            without(
                "compat/test_sni_callback.py::test_what_has_failed_stays_failed",
                "compat.link.Link._read",
                "self._is_over",
            ),
            without(
                "compat/test_sni_callback.py::test_what_has_failed_stays_failed",
                "compat.link.Link.shutdown",
                "self._is_over",
            ),
        ),
    ),
    Threat(
        _COMPAT,
        "Connections that keep what a stranger sent for as long as they live",
        "Of a hello, a link keeps the names of the cipher suites that are known here.",
        (
            without(
                "compat/test_sni_callback.py::test_a_hello_is_not_kept",
                "compat.link.Link._feed",
                "connection.receive_data(data)",
                "(vars(self).setdefault(1, []).append(data), connection.receive_data(data))[1]",
            ),
        ),
    ),
    Threat(
        _COMPAT,
        "A revoked client, and an authority that is gone: a context that read its files once",
        "Directories of capath are read again when any file in them has changed, and the defaults "
        "with each new context: the state of every file counts, not only the directory's.",
        (
            without(
                "compat/test_settings.py::test_a_list_that_is_added_to_a_directory_counts",
                "compat.authorities.Verifier._current",
                "directories and (state := ...) != evidence.state",
            ),
            without(
                "compat/test_settings.py::test_a_default_authority_that_is_gone_is_trusted_no_more",
                "compat.authorities._state_of_directories",
                "tuple(sorted(found))",
                "()",
            ),
        ),
        (
            "compat/test_settings.py"
            "::test_an_authority_that_is_taken_from_a_directory_is_trusted_no_more",
        ),
    ),
    Threat(
        _COMPAT,
        "Weak keys, where @SECLEVEL asks for stronger ones",
        "Keys and signatures are those of level 2; a context of a higher level raises, be it set "
        "by set_ciphers or by openssl.cnf.",
        (
            without(
                "compat/test_settings.py::test_a_security_level_that_cannot_be_honoured",
                "compat.context.SSLContext.set_ciphers",
                "check_level(self)",
                "pass",
            ),
            without(
                "compat/test_settings.py"
                "::test_a_security_level_of_the_system_that_cannot_be_honoured",
                "compat.settings._shared",
                "check_level(context)",
                "pass",
            ),
        ),
    ),
    Threat(
        _COMPAT,
        "Secrets in the file of keylog_filename, which OpenSSL makes readable for everybody",
        "It is made, or made private, before OpenSSL opens it; links and files of others raise.",
        (
            without(
                "compat/test_settings.py::test_a_key_log_is_private_from_the_start",
                "compat.context.SSLContext.keylog_filename",
                "settings_of(self) is not None and value is not None",
            ),
        ),
        ("compat/test_settings.py::test_a_key_log_that_others_could_read_is_made_private",),
    ),
    Threat(
        _COMPAT,
        "A disk that strangers fill with traces",
        "With --trace, a connection records a bounded number of events, and a process keeps a "
        "bounded number of files and bytes, those of earlier runs among them: the oldest go.",
        (
            without(
                "compat/test_traces.py::test_a_flood_of_records_makes_no_long_trace",
                "compat.tracing.TraceFile._note",
                "isinstance(event, RecordSeen) and len(self.events) >= _MOST_RECORDS",
            ),
            without(
                "compat/test_traces.py::test_the_oldest_files_go",
                "compat.tracing._Files._count",
                "len(self._sizes) > MOST_FILES or self._bytes > MOST_BYTES",
            ),
            without(
                "compat/test_traces.py::test_the_files_of_earlier_runs_count",
                "compat.tracing._Files._count",
                "not self._earlier_are_counted",
            ),
        ),
    ),
)
