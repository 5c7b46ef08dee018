"""The cases of Encrypted Client Hello in BoringSSL's runner, with our tests of the same.

The cases are those of `ssl/test/runner/ech_tests.go` over TLS, without the prefix "ECH-". They are
there once more over QUIC and DTLS, which this library does not have. A case has our tests, or the
reason for which there is none. `test_rfc9849.py` checks that the tests are there.
"""

from __future__ import annotations

HERE = "adversarial/test_ech.py::"
BOTH = "end_to_end/test_ech.py::"
HELLOS = "end_to_end/test_ech_hellos.py::"
KEYS = "end_to_end/test_ech_keys.py::"
WIRE = "wire/test_ech.py::"
CONFIGS = "test_ech.py::"
STORY = "story/test_ech.py::"

ACCEPTED = BOTH + "test_accepted"
RETRIED = BOTH + "test_accepted_after_a_retry"
RESUMED = HELLOS + "test_sessions_and_early_data_are_offered_inside_alone"
RULES = HELLOS + "test_both_hellos_keep_the_rules"
REJECTED = BOTH + "test_another_key_is_rejected_with_the_current_configs"
REFERENCES = HERE + "test_references_to_what_is_not_there"
NOT_INNER = HERE + "test_inner_hellos_that_are_none"
SECOND = HERE + "test_second_hellos_that_do_not_continue_the_first"
ONE_COMPRESSED = HERE + "test_one_of_both_inner_hellos_is_compressed"
SEEN = STORY + "test_both_ends_see_the_same_inner_hellos"
SUITES = BOTH + "test_every_kem_and_suite"
UNLISTED = HERE + "test_a_supported_cipher_suite_that_is_not_in_the_configuration"
CERTIFICATE = BOTH + "test_a_server_that_rejects_gets_no_client_certificate"
PASSED_OVER = CONFIGS + "test_configs_that_clients_must_pass_over"
UNUSABLE = BOTH + "test_configs_of_clients_that_make_no_sense"
NAME_MEANT = BOTH + "test_verify_is_asked_about_the_name_that_was_meant"
PUBLIC_NAME = BOTH + "test_verify_is_asked_about_the_public_name_of_a_server_that_rejects"
IN_TLS12 = HERE + "test_the_extension_in_a_server_hello_of_tls12"
IN_THE_CLEAR = HERE + "test_an_inner_hello_in_the_clear"
NONE_USABLE = "A config of which nothing can be used is refused: no hello leaves in the clear."
NO_REWIND = "An application cannot go back to the outer hello after the inner one was opened."
NO_CHANNEL_ID = "There is no Channel ID here."
SPLIT_MODE = "A server of split mode takes inner hellos in the clear; ours refuses them."

Proof = tuple[str, ...]

EITHER_HELLO: dict[str, Proof] = {
    "Server": (ACCEPTED, RETRIED, RESUMED),
    "Server-MinimalClientHelloOuter": (
        HERE + "test_an_outer_hello_with_nothing_but_the_inner_one",
    ),
    "Server-Decline": (REJECTED, NAME_MEANT),
    "Server-TLS12InInner": (NOT_INNER,),
    "Server-MissingECHInner": (NOT_INNER,),
    "Server-OuterExtensions": (RULES, ONE_COMPRESSED),
    "Server-OuterExtensions-Interleaved": (
        WIRE + "test_an_inner_hello_comes_out_as_it_went_in",
        ONE_COMPRESSED,
    ),
    "Server-OuterExtensions-WrongOrder": (REFERENCES,),
    "Server-OuterExtensions-Duplicate": (REFERENCES,),
    "Server-OuterExtensions-Missing": (REFERENCES,),
    "Server-OuterExtensions-SelfReference": (REFERENCES,),
    "Server-MessageCallback": (SEEN,),
}
"""The cases that there are once more with the suffix "-HelloRetryRequest"."""

FOR_EACH_SUITE: dict[str, Proof] = {
    "Server-Cipher": (SUITES,),
    "Client-Cipher": (SUITES,),
    "Server-DisabledCipher": (UNLISTED,),
}
"""The cases that there are with each of the three cipher suites of HPKE."""

SYNCHRONOUS_OR_NOT: dict[str, Proof] = {
    "Client-ClientCertificate": (CERTIFICATE,),
    "Client-Reject-NoClientCertificate-TLS13": (CERTIFICATE,),
    "Client-Reject-NoClientCertificate-TLS12": (CERTIFICATE,),
}
"""The cases that there are once more with the suffix "-Async", with a callback."""

ONCE: dict[str, Proof | str] = {
    # Servers
    "Server-AsyncEarlyCallback": (
        BOTH + "test_a_config_for_the_inner_name",
        KEYS + "test_asyncio_waits_for_the_keys",
    ),
    "Server-FailCallbackNeedRewind": NO_REWIND,
    "Server-RewindWithNoPublicName": NO_REWIND,
    "Server-SecondECHConfig": (KEYS + "test_keys_that_replace_others",),
    "Server-RepeatedConfigID": (BOTH + "test_two_keys_with_one_config_id",),
    "Server-ShortEnc": (HERE + "test_a_key_share_that_is_none_is_as_an_unknown_key",),
    "Server-CorruptEncryptedClientHello": (
        HERE + "test_an_outer_hello_that_was_changed_on_the_way_is_as_a_foreign_one",
    ),
    "Server-CorruptSecondEncryptedClientHello": (SECOND,),
    "Server-OmitSecondEncryptedClientHello": (SECOND,),
    "Server-DifferentConfigIDSecondClientHello": (SECOND,),
    "Server-EarlyData": (BOTH + "test_resumption_and_early_data",),
    "Server-EarlyDataRejected": (
        BOTH + "test_early_data_that_a_server_refuses_with_the_inner_hello_accepted",
    ),
    "Server-Disabled": (BOTH + "test_a_server_without_ech_says_so_by_its_certificate",),
    "Server-ClientAuth": (CERTIFICATE,),
    "Server-Decline-ClientAuth": (CERTIFICATE,),
    "Server-Padding": (RULES,),
    "Server-BadPadding": (HERE + "test_padding_of_other_bytes",),
    "Server-ECHInner": SPLIT_MODE,
    "Server-ECHInner-HelloRetryRequest": SPLIT_MODE,
    "Server-ECHInner-NotEmpty": (IN_THE_CLEAR,),
    "Server-ECHInner-Absent-TLS12": (IN_THE_CLEAR,),
    # GREASE, and answers to it
    "GREASE-Client-TLS13": (
        BOTH + "test_when_grease_is_sent",
        BOTH + "test_grease_is_ignored_by_all",
    ),
    "GREASE-Client-TLS13-HelloRetryRequest": (BOTH + "test_grease_is_ignored_by_all",),
    "GREASE-Client-TLS13-Retry-Configs": (BOTH + "test_retry_configs_of_which_one_can_be_used",),
    "GREASE-Client-TLS13-Invalid-Retry-Configs": (HERE + "test_malformed_retry_configs",),
    "GREASE-Client-TLS12-RejectRetryConfigs": (IN_TLS12,),
    "Client-GREASE-IgnoreHRRExtension": (HERE + "test_grease_has_no_confirmation_to_check",),
    # Clients, and servers that answer wrongly
    "Client-TLS12-RejectRetryConfigs": (IN_TLS12,),
    "Client-Accept-RejectRetryConfigs": (
        HERE + "test_retry_configs_after_the_inner_hello_was_taken",
    ),
    "Client-UnsolictedHRRExtension": (HERE + "test_a_confirmation_that_was_not_asked_for",),
    "Client-Reject-RandomHRRExtension": (HERE + "test_random_bytes_in_a_retry_confirm_nothing",),
    "Client-UnsolicitedInnerServerNameAck": (
        HERE + "test_an_answer_to_a_name_that_the_outer_hello_alone_has",
    ),
    "Client-HelloRetryRequest-MissingServerHelloConfirmation": (
        HERE + "test_a_server_that_confirms_in_its_retry_alone",
    ),
    # Clients whose inner hello is accepted
    "Client": (ACCEPTED, RESUMED),
    "Client-HelloRetryRequest": (RETRIED, RESUMED),
    "Client-EarlyData": (BOTH + "test_resumption_and_early_data", RESUMED),
    "Client-EarlyDataRejected": (
        BOTH + "test_early_data_that_a_server_refuses_with_the_inner_hello_accepted",
    ),
    "Client-TLS12SessionID": (
        HELLOS + "test_a_session_of_tls12_without_a_ticket_is_offered_in_neither_hello",
    ),
    "Client-TLS12SessionTicket": (HELLOS + "test_a_session_of_tls12_is_offered_in_neither_hello",),
    "Client-NoNPN": "There is no NPN here; that the inner hello has nothing of TLS 1.2 is tested.",
    "Client-SelectECHConfig": (PASSED_OVER,),
    "Client-NoSupportedConfigs": (UNUSABLE,),
    "Client-NoSupportedConfigs-GREASE": (UNUSABLE,),
    "Client-GREASE": (ACCEPTED,),
    "Client-GREASEExtensions": (HELLOS + "test_both_hellos_have_values_of_grease",),
    "Client-UnsupportedExtension": (PASSED_OVER,),
    "Client-InvalidECHConfigList": (CONFIGS + "test_what_cannot_be_used",),
    "Client-ExpectECHOuterExtensions": (RULES,),
    "Client-NeverCompressServerName": (
        HELLOS + "test_a_name_that_is_the_public_one_is_not_shared",
    ),
    "Client-CompressSupportedVersions": "Our client never compresses it, as RFC 9849 allows.",
    "Client-NameTooLong": (BOTH + "test_a_name_that_is_longer_than_the_configuration_expects",),
    "Client-SkipInvalidPublicName": (PASSED_OVER, UNUSABLE),
    "Client-SkipInvalidPublicName-2": (PASSED_OVER,),
    "Client-ChannelID": NO_CHANNEL_ID,
    "Client-MessageCallback": (SEEN,),
    "Client-MessageCallback-HelloRetryRequest": (SEEN,),
    # Clients whose inner hello is rejected
    "Client-Reject": (REJECTED,),
    "Client-Reject-HelloRetryRequest": (REJECTED,),
    "Client-Reject-NoRetryConfigs": (
        BOTH + "test_a_server_without_ech_says_so_by_its_certificate",
    ),
    "Client-Reject-TLS12": (BOTH + "test_a_server_without_ech_says_so_by_its_certificate",),
    "Client-Reject-TLS12-NoFalseStart": (
        "adapters/test_ech.py::test_what_waits_for_the_handshake_is_not_sent",
    ),
    "Client-Reject-UnsupportedRetryConfigs": (
        BOTH + "test_retry_configs_of_which_one_can_be_used",
    ),
    "Client-Reject-ResumeInnerSession-TLS13": (HERE + "test_a_server_that_rejects_and_resumes",),
    "Client-Reject-ResumeInnerSession-TLS12": (
        HERE + "test_a_server_of_tls12_that_rejects_and_resumes",
    ),
    "Client-Reject-EarlyDataRejected": (BOTH + "test_early_data_of_a_rejected_hello_go_nowhere",),
    "Client-Reject-EarlyDataRejected-TLS12": (HERE + "test_an_older_version_after_early_data",),
    "Client-Reject-NoChannelID-TLS13": NO_CHANNEL_ID,
    "Client-Reject-NoChannelID-TLS12": NO_CHANNEL_ID,
    # The name that a certificate is verified for
    "Client-NotOffered-NoOverrideName": (NAME_MEANT,),
    "Client-GREASE-NoOverrideName": (NAME_MEANT,),
    "Client-Rejected-OverrideName-TLS12": (PUBLIC_NAME,),
    "Client-Reject-OverrideName-TLS13": (PUBLIC_NAME,),
    "Client-Accept-NoOverrideName": (NAME_MEANT,),
    "Client-Reject-EarlyDataRejected-OverrideNameOnRetry": (
        BOTH + "test_verify_is_asked_about_the_public_name_after_refused_early_data",
    ),
}

CASES: dict[str, Proof | str] = {
    **EITHER_HELLO,
    **{f"{name}-HelloRetryRequest": proof for name, proof in EITHER_HELLO.items()},
    **{
        f"{name}-{suite}": proof
        for name, proof in FOR_EACH_SUITE.items()
        for suite in (
            "HKDF-SHA256-AES-128-GCM",
            "HKDF-SHA256-AES-256-GCM",
            "HKDF-SHA256-ChaCha20-Poly1305",
        )
    },
    **SYNCHRONOUS_OR_NOT,
    **{f"{name}-Async": proof for name, proof in SYNCHRONOUS_OR_NOT.items()},
    **ONCE,
}
