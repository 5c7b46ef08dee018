"""What RFC 9849 demands in sections 4 to 10, in our words, with the tests that hold it.

Each sentence with MUST or MUST NOT in sections 5 to 7 and 10 has its row, and so have those of
sections 4, 8 and 9 that concern an implementation. Not here are the ones about split mode (in which
a server would take an inner hello from another one) and DTLS, which this library does not have.
`test_rfc9849.py` checks that the tests are there.
"""

from __future__ import annotations

from typing import NamedTuple


class Demand(NamedTuple):
    """A rule of the RFC."""

    section: str
    rule: str
    tests: tuple[str, ...]


HERE = "adversarial/test_ech.py::"
BOTH = "end_to_end/test_ech.py::"
WIRE = "wire/test_ech.py::"
CONFIGS = "test_ech.py::"
HELLOS = "end_to_end/test_ech_hellos.py::"


def demand(section: str, rule: str, *tests: str) -> Demand:
    return Demand(section, rule, tests)


DEMANDS = (
    # 4: the configuration
    demand("4", "A configuration of another version, or of an unknown KEM, is passed over.",
           CONFIGS + "test_configs_that_clients_must_pass_over",
           WIRE + "test_configs_of_other_versions_are_passed_over"),
    demand("4.2", "No extension stands in a configuration twice.",
           WIRE + "test_an_extension_that_stands_in_a_configuration_twice"),
    demand("4.2", "A client looks for mandatory extensions, and passes over what it does not know.",
           CONFIGS + "test_configs_that_clients_must_pass_over"),
    # 5: the extension
    demand("5", "A client that sends the outer form sends the inner one in the inner hello.",
           HELLOS + "test_both_hellos_keep_the_rules",
           HERE + "test_inner_hellos_that_are_none"),
    demand("5", "The cipher suite is one of the configuration's.",
           BOTH + "test_every_kem_and_suite",
           HERE + "test_a_cipher_suite_that_is_not_in_the_configuration_is_as_an_unknown_key",
           HERE + "test_a_supported_cipher_suite_that_is_not_in_the_configuration"),
    demand("5", "retry_configs that answer the inner form are unsupported_extension.",
           HERE + "test_retry_configs_after_the_inner_hello_was_taken"),
    demand("5", "An answer without an offer is unsupported_extension (RFC 8446 section 4.2).",
           HERE + "test_retry_configs_that_were_not_asked_for",
           HERE + "test_a_confirmation_that_was_not_asked_for",
           HERE + "test_an_answer_to_a_name_that_the_outer_hello_alone_has"),
    demand("5", "A HelloRetryRequest to an inner hello has a confirmation of 8 bytes.",
           BOTH + "test_accepted_after_a_retry",
           HERE + "test_confirmations_of_another_size"),
    demand("5", "A client whose offer was not accepted sends ech_required.",
           BOTH + "test_another_key_is_rejected_with_the_current_configs"),
    demand("11.1", "The extension stands in no ServerHello.",
           HERE + "test_the_extension_in_a_server_hello",
           HERE + "test_the_extension_in_a_server_hello_of_tls12"),
    # 5.1: the encoding of the inner hello
    demand("5.1", "Its legacy_session_id is empty, and then that of the outer hello.",
           WIRE + "test_encoded_hellos_that_break_a_rule",
           WIRE + "test_an_inner_hello_comes_out_as_it_went_in",
           HELLOS + "test_both_hellos_keep_the_rules"),
    demand("5.1", "Padding is of zeros; other bytes are illegal_parameter.",
           WIRE + "test_encoded_hellos_that_break_a_rule", HERE + "test_padding_of_other_bytes"),
    demand("5.1", "What a client references stands together in the inner hello, at the place of "
           "ech_outer_extensions, and in the same order in the outer one.",
           HELLOS + "test_both_hellos_keep_the_rules",
           WIRE + "test_an_inner_hello_comes_out_as_it_went_in"),
    demand("5.1", "What is referenced is in the outer hello, once, in its order, and is not ECH.",
           WIRE + "test_encoded_hellos_that_break_a_rule",
           HERE + "test_references_to_what_is_not_there"),
    demand("5.1", "ech_outer_extensions stands in no outer hello, and in no inner one after "
           "decoding.",
           HELLOS + "test_both_hellos_keep_the_rules",
           HERE + "test_ech_outer_extensions_in_an_outer_hello",
           HERE + "test_an_inner_hello_that_brings_ech_outer_extensions_out_of_the_outer_one"),
    demand("5.1", "An extension that is referenced does not stand there besides (RFC 8446 4.2).",
           WIRE + "test_encoded_hellos_that_break_a_rule"),
    demand("5.1", "Decoding takes linear time.",
           WIRE + "test_a_hello_of_many_references_costs_linear_time"),
    # 5.2: what is authenticated
    demand("5.2", "The outer hello is authenticated, with zeros in place of the payload.",
           WIRE + "test_what_is_authenticated_is_the_outer_hello_without_the_payload",
           HERE + "test_an_outer_hello_that_was_changed_on_the_way_is_as_a_foreign_one"),
    # 6.1: clients
    demand("6.1", "A client chooses no version and no suite that the configuration does not have.",
           BOTH + "test_every_kem_and_suite", CONFIGS + "test_what_cannot_be_used"),
    demand("6.1", "The inner hello does not offer TLS 1.2 or older (rule 1).",
           HELLOS + "test_both_hellos_keep_the_rules"),
    demand("6.1", "It offers no session of TLS 1.2 or older (rule 2).",
           HELLOS + "test_a_session_of_tls12_is_offered_in_neither_hello",
           HELLOS + "test_a_session_of_tls12_without_a_ticket_is_offered_in_neither_hello"),
    demand("6.1", "Its extensions that are compressed stand one after the other (rule 3).",
           HELLOS + "test_both_hellos_keep_the_rules"),
    demand("6.1", "It has the extension of type inner (rule 4).",
           HELLOS + "test_both_hellos_keep_the_rules"),
    demand("6.1", "The outer hello offers TLS 1.3 (rule 1).",
           HELLOS + "test_both_hellos_keep_the_rules",
           BOTH + "test_configs_of_clients_that_make_no_sense"),
    demand("6.1", "It has what was compressed, unchanged and in the same order (rule 2).",
           HELLOS + "test_both_hellos_keep_the_rules", BOTH + "test_accepted"),
    demand("6.1", "It has the legacy_session_id of the inner one (rule 3), and a random of its "
           "own (rule 4).",
           HELLOS + "test_both_hellos_keep_the_rules"),
    demand("6.1", "It has the public name, and nothing that tells the inner one (rule 5).",
           HELLOS + "test_both_hellos_keep_the_rules", BOTH + "test_accepted",
           BOTH + "test_hellos_without_a_name_and_with_grease_switched_off",
           HELLOS + "test_a_name_that_is_the_public_one_is_not_shared"),
    demand("6.1", "It advertises no session and no external key, and has the psk_key_exchange_modes"
           " of the inner one (rule 6).",
           HELLOS + "test_sessions_and_early_data_are_offered_inside_alone",
           HELLOS + "test_external_keys_are_offered_inside_alone"),
    demand("6.1", "It has early_data if the inner one has (rule 7).",
           HELLOS + "test_sessions_and_early_data_are_offered_inside_alone"),
    demand("6.1.1", "The config_id is the same in both outer hellos.",
           BOTH + "test_accepted_after_a_retry"),
    demand("6.1.2", "Its keys are random bytes, as many and as long as the inner ones.",
           HELLOS + "test_sessions_and_early_data_are_offered_inside_alone",
           HELLOS + "test_external_keys_are_offered_inside_alone",
           HELLOS + "test_grease_keys_are_others_each_time"),
    demand("6.1.2", "A server that takes one of those is refused with illegal_parameter.",
           HERE + "test_a_server_that_rejects_and_resumes",
           HERE + "test_a_server_of_tls12_that_rejects_and_resumes"),
    demand("6.1.3", "Padding hides how long the name is.",
           WIRE + "test_padding_hides_the_length_of_the_name",
           BOTH + "test_names_of_any_length_make_hellos_of_one_size"),
    demand("6.1.4", "A confirmation in a HelloRetryRequest has 8 bytes, or it is a decode_error.",
           HERE + "test_confirmations_of_another_size"),
    demand("6.1.5", "The second hello is sealed by the context of the first, with an empty enc, "
           "and the second outer hello is well-formed.",
           BOTH + "test_accepted_after_a_retry", HELLOS + "test_both_hellos_keep_the_rules"),
    demand("6.1.5", "A HelloRetryRequest that confirms is followed by a ServerHello that does, or "
           "it is illegal_parameter.",
           HERE + "test_a_server_that_confirms_in_its_retry_alone"),
    demand("6.1.5", "Early data end with a HelloRetryRequest (RFC 8446 section 4.2.10), and are for"
           " the protocol of their session alone.",
           HERE + "test_early_data_inside_and_a_hello_retry",
           BOTH + "test_early_data_of_a_rejected_hello_go_nowhere",
           HERE + "test_a_server_that_takes_early_data_for_another_protocol",
           HELLOS + "test_early_data_for_another_protocol_are_refused"),
    demand("6.1.6", "If the authentication or the handshake fails, the application gets an error, "
           "without retry_configs and without leave to do without ECH.",
           BOTH + "test_a_server_that_is_not_the_public_name_says_nothing_that_counts",
           BOTH + "test_without_verification_nothing_that_the_server_says_counts",
           HERE + "test_a_server_that_rejects_and_does_not_finish"),
    demand("6.1.6", "Malformed retry_configs are a decode_error.",
           HERE + "test_malformed_retry_configs"),
    demand("6.1.6", "Those of other versions alone count as none.",
           BOTH + "test_configs_that_nobody_can_use_are_no_retry_configs",
           BOTH + "test_retry_configs_of_which_one_can_be_used"),
    demand("6.1.6", "In TLS 1.2, nothing is sent before the server's Finished (False Start).",
           BOTH + "test_a_server_without_ech_says_so_by_its_certificate",
           "adapters/test_ech.py::test_what_waits_for_the_handshake_is_not_sent"),
    demand("6.1.6", "A rejected handshake ends in ech_required, and carries no application data.",
           BOTH + "test_another_key_is_rejected_with_the_current_configs",
           "adapters/test_ech.py::test_what_waits_for_the_handshake_is_not_sent"),
    demand("6.1.6", "There is one further attempt with retry_configs, and an error without one.",
           "cli/test_ech.py::test_connect_does_not_try_a_third_time",
           BOTH + "test_another_key_is_rejected_with_the_current_configs"),
    demand("6.1.6", "The further attempt uses no address out of a new query.",
           "cli/test_ech.py::test_the_further_attempt_looks_no_address_up"),
    demand("6.1.6", "TLS 1.2 after early data is an error (RFC 8446 section D.3).",
           HERE + "test_an_older_version_after_early_data"),
    demand("6.1.7", "The certificate is verified for the public name.",
           BOTH + "test_verify_is_asked_about_the_public_name_of_a_server_that_rejects",
           BOTH + "test_a_server_of_another_authority_does_not_prove_to_be_the_public_name",
           BOTH + "test_verify_is_asked_about_the_public_name_after_refused_early_data",
           BOTH + "test_a_server_that_is_not_the_public_name_says_nothing_that_counts"),
    demand("6.1.7", "A client certificate is not sent to it.",
           BOTH + "test_a_server_that_rejects_gets_no_client_certificate"),
    demand("6.1.7", "A public name is one of the DNS; one that is an address is not used.",
           CONFIGS + "test_configs_that_clients_must_pass_over"),
    demand("6.1.7", "Such a connection is never reported as a success.",
           BOTH + "test_another_key_is_rejected_with_the_current_configs",
           BOTH + "test_a_server_without_ech_says_so_by_its_certificate"),
    demand("6.1.7", "Its session tickets and session IDs are not kept.",
           HERE + "test_tickets_of_a_server_that_rejects_are_not_kept"),
    demand("6.1.8", "What a rejection taught is used for no other connection: nothing is kept.",
           HERE + "test_nothing_is_learnt_of_a_rejection_or_of_grease"),
    demand("6.1.8", "A rejection of a connection with kept retry_configs counts as that of a fresh "
           "one, and is tried once more.",
           "cli/test_ech.py::test_what_connect_printed_begins_afresh"),
    # 6.2: GREASE
    demand("6.2.1", "Answers to it are checked, or are a decode_error, and not used.",
           HERE + "test_malformed_retry_configs", HERE + "test_confirmations_of_another_size",
           HERE + "test_retry_configs_for_grease_are_read_and_not_used",
           HERE + "test_grease_has_no_confirmation_to_check"),
    demand("6.2.1", "Its retry_configs are not saved.",
           HERE + "test_nothing_is_learnt_of_a_rejection_or_of_grease"),
    demand("6.2.1", "The second hello repeats the extension.",
           BOTH + "test_grease_is_ignored_by_all"),
    demand("6.2.1", "It is as long as a real one would be.",
           BOTH + "test_grease_is_as_long_as_the_real_thing"),
    # 7: servers
    demand("7", "An inner hello that comes in the clear is illegal_parameter.",
           HERE + "test_an_inner_hello_in_the_clear"),
    demand("7", "A type other than outer and inner is illegal_parameter.",
           WIRE + "test_types_of_the_extension",
           HERE + "test_types_of_the_extension_that_nobody_knows"),
    demand("7.1", "Keys are found by config_id, unless the operator chose trial decryption.",
           BOTH + "test_trial_decryption",
           BOTH + "test_two_keys_with_one_config_id"),
    demand("7.1", "The inner hello has the extension of type inner, and does not offer TLS 1.2.",
           HERE + "test_inner_hellos_that_are_none"),
    demand("7.1", "A hello that no key opens counts as it came, whether its config_id is unknown "
           "or its decryption fails.",
           BOTH + "test_the_same_id_with_another_key_is_as_an_unknown_id",
           HERE + "test_a_key_share_that_is_none_is_as_an_unknown_key",
           HERE + "test_a_cipher_suite_that_is_not_in_the_configuration_is_as_an_unknown_key"),
    demand("7.1", "It is answered by the current configurations, if there are keys.",
           BOTH + "test_another_key_is_rejected_with_the_current_configs"),
    demand("7.1.1", "The second hello has the extension (missing_extension), with the suite and "
           "config_id of the first and an empty enc (illegal_parameter), and its payload opens "
           "(decrypt_error).",
           HERE + "test_second_hellos_that_do_not_continue_the_first"),
    demand("7.1.1", "The second hello of a client that was rejected is not opened, and it gets "
           "retry_configs too.",
           HERE + "test_no_key_is_tried_on_the_second_hello_of_a_client_that_was_rejected",
           BOTH + "test_another_key_is_rejected_with_the_current_configs"),
    demand("7.1.1", "The second inner hello is the first but for what RFC 8446 lists.",
           HERE + "test_a_second_inner_hello_that_asks_for_another_server"),
    demand("7.2", "A server that takes an inner hello confirms it, out of the inner hello and the "
           "transcript.",
           BOTH + "test_accepted", BOTH + "test_accepted_after_a_retry",
           HERE + "test_random_bytes_in_a_retry_confirm_nothing",
           HERE + "test_an_outer_hello_with_nothing_but_the_inner_one"),
    demand("7.2", "It does not answer an inner hello in TLS 1.2 or older.",
           HERE + "test_an_inner_hello_for_a_config_of_older_versions_alone"),
    # 8 and 9: deployment and compliance
    demand("8.1.1", "A client does not fall back to a hello in the clear.",
           "cli/test_ech.py::test_connect_never_falls_back_to_the_clear"),
    demand("9", "X25519, HKDF-SHA256 and AES-128-GCM are there.",
           BOTH + "test_every_kem_and_suite"),
    # 10: security considerations
    demand("10.4", "Trial decryption is the operator's choice.", BOTH + "test_trial_decryption"),
    demand("10.4", "A client names the config_id of the configuration, and no random one.",
           HELLOS + "test_both_hellos_keep_the_rules"),
    demand("10.12.2", "A second hello of somebody else is not taken: it opens with the context of "
           "the first.",
           HERE + "test_second_hellos_that_do_not_continue_the_first"),
    demand("10.12.3", "An inner hello cannot be put into another outer one.",
           HERE + "test_an_outer_hello_that_was_changed_on_the_way_is_as_a_foreign_one"),
    demand("10.12.4", "A small hello does not grow into a large one.",
           WIRE + "test_encoded_hellos_that_break_a_rule",
           WIRE + "test_a_hello_of_many_references_costs_linear_time"),
)  # fmt: skip
