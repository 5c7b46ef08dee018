"""What RFC 9849 demands in sections 5 to 7 and 10, in our words, with the tests that hold it.

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


def demand(section: str, rule: str, *tests: str) -> Demand:
    return Demand(section, rule, tests)


DEMANDS = (
    # 5: the extension
    demand("5", "Types other than outer and inner are refused.",
           WIRE + "test_types_of_the_extension",
           HERE + "test_types_of_the_extension_that_nobody_knows"),
    demand("5", "retry_configs come in EncryptedExtensions, and only if the outer hello counts.",
           HERE + "test_retry_configs_after_the_inner_hello_was_taken",
           BOTH + "test_another_key_is_rejected_with_the_current_configs"),
    demand("5", "They answer an offer: without one they are unsupported_extension.",
           HERE + "test_retry_configs_that_were_not_asked_for",
           HERE + "test_a_confirmation_that_was_not_asked_for"),
    demand("5", "The extension stands in no ServerHello.",
           HERE + "test_the_extension_in_a_server_hello"),
    # 5.1: the encoding of the inner hello
    demand("5.1", "Its legacy_session_id is empty, and then that of the outer hello.",
           WIRE + "test_encoded_hellos_that_break_a_rule",
           WIRE + "test_an_inner_hello_comes_out_as_it_went_in"),
    demand("5.1", "Padding is of zeros; other bytes are illegal_parameter.",
           WIRE + "test_encoded_hellos_that_break_a_rule", HERE + "test_padding_of_other_bytes"),
    demand("5.1", "What is referenced is in the outer hello, once, in its order, and is not ECH.",
           WIRE + "test_encoded_hellos_that_break_a_rule"),
    demand("5.1", "ech_outer_extensions stands in no hello after decoding.",
           HERE + "test_an_inner_hello_that_brings_ech_outer_extensions_out_of_the_outer_one"),
    demand("5.1", "An extension that is referenced does not stand there besides.",
           WIRE + "test_encoded_hellos_that_break_a_rule"),
    demand("5.1", "Decoding takes linear time.",
           WIRE + "test_a_hello_of_many_references_costs_linear_time"),
    # 5.2: what is authenticated
    demand("5.2", "The outer hello is authenticated, with zeros in place of the payload.",
           WIRE + "test_what_is_authenticated_is_the_outer_hello_without_the_payload",
           HERE + "test_an_outer_hello_that_was_changed_on_the_way_is_as_a_foreign_one"),
    # 6.1: clients
    demand("6.1", "A configuration of another version, or that needs the unknown, is not used.",
           CONFIGS + "test_configs_that_clients_must_pass_over",
           CONFIGS + "test_what_cannot_be_used"),
    demand("6.1", "Suites that the client does not have are skipped.",
           BOTH + "test_every_kem_and_suite"),
    demand("6.1", "The inner hello offers TLS 1.3 and nothing older.",
           HERE + "test_inner_hellos_that_are_none"),
    demand("6.1", "The outer hello has the public name, and nothing that tells the inner one.",
           BOTH + "test_accepted",
           BOTH + "test_hellos_without_a_name_and_with_grease_switched_off"),
    demand("6.1.2", "The outer hello offers no session and no external key: it has random ones.",
           BOTH + "test_the_outer_hello_names_no_session",
           BOTH + "test_external_keys_stay_inside"),
    demand("6.1.2", "A server that takes one of those is refused with illegal_parameter.",
           HERE + "test_a_server_that_rejects_and_resumes"),
    demand("6.1.2", "early_data stands in both hellos or in none.",
           BOTH + "test_resumption_and_early_data"),
    demand("6.1.3", "Padding hides how long the name is.",
           WIRE + "test_padding_hides_the_length_of_the_name",
           BOTH + "test_names_of_any_length_make_hellos_of_one_size"),
    demand("6.1.4", "A HelloRetryRequest that confirms is followed by a ServerHello that does.",
           HERE + "test_a_server_that_confirms_in_its_retry_alone"),
    demand("6.1.4", "A confirmation in a HelloRetryRequest has 8 bytes, or it is a decode_error.",
           HERE + "test_confirmations_of_another_size"),
    demand("6.1.5", "The second hello is sealed by the context of the first, with an empty enc.",
           BOTH + "test_accepted_after_a_retry"),
    demand("6.1.5", "Early data end with a HelloRetryRequest.",
           HERE + "test_early_data_inside_and_a_hello_retry",
           BOTH + "test_early_data_of_a_rejected_hello_go_nowhere"),
    demand("6.1.6", "A rejected handshake ends in ech_required, and carries no application data.",
           BOTH + "test_another_key_is_rejected_with_the_current_configs",
           "adapters/test_ech.py::test_what_waits_for_the_handshake_is_not_sent"),
    demand("6.1.6", "retry_configs count only if the server proved to be the public name.",
           BOTH + "test_a_server_that_is_not_the_public_name_says_nothing_that_counts",
           BOTH + "test_without_verification_nothing_that_the_server_says_counts"),
    demand("6.1.6", "Malformed ones are a decode_error, and those of other versions are skipped.",
           HERE + "test_malformed_retry_configs",
           BOTH + "test_configs_that_nobody_can_use_are_no_retry_configs"),
    demand("6.1.6", "There is one further attempt with them, and none in the clear.",
           "cli/test_ech.py::test_connect_does_not_try_a_third_time",
           "cli/test_ech.py::test_connect_never_falls_back_to_the_clear"),
    demand("6.1.6", "TLS 1.2 with the public name is a rejection, after early data an error.",
           BOTH + "test_a_server_without_ech_says_so_by_its_certificate",
           HERE + "test_an_older_version_after_early_data"),
    demand("6.1.7", "The certificate is verified for the public name.",
           BOTH + "test_verify_is_asked_about_the_public_name_of_a_server_that_rejects",
           BOTH + "test_a_server_of_another_authority_does_not_prove_to_be_the_public_name"),
    demand("6.1.7", "A client certificate is not sent to it.",
           BOTH + "test_a_server_that_rejects_gets_no_client_certificate"),
    demand("6.1.7", "A public name that is an address, or no host name, is not used.",
           CONFIGS + "test_configs_that_clients_must_pass_over"),
    # 6.2: GREASE
    demand("6.2", "The second hello repeats the extension; answers are checked and not used.",
           BOTH + "test_grease_is_ignored_by_all",
           HERE + "test_retry_configs_for_grease_are_read_and_not_used",
           HERE + "test_malformed_retry_configs"),
    demand("6.2", "It is as long as a real one would be.",
           BOTH + "test_grease_is_as_long_as_the_real_thing"),
    # 7: servers
    demand("7", "An inner hello that comes in the clear is refused.",
           HERE + "test_an_inner_hello_in_the_clear"),
    demand("7.1", "A hello that no key opens counts as it came, and is answered by retry_configs.",
           BOTH + "test_another_key_is_rejected_with_the_current_configs",
           HERE + "test_a_key_share_that_is_none_is_as_an_unknown_key",
           HERE + "test_a_cipher_suite_that_is_not_in_the_configuration_is_as_an_unknown_key"),
    demand("7.1", "The inner hello has the extension of type inner, and does not offer TLS 1.2.",
           HERE + "test_inner_hellos_that_are_none"),
    demand("7.1.1", "The second hello has the extension (missing_extension), unchanged but for the "
           "payload (illegal_parameter), which opens (decrypt_error).",
           HERE + "test_second_hellos_that_do_not_continue_the_first"),
    demand("7.1.1", "The second inner hello is the first but for what RFC 8446 lists.",
           HERE + "test_a_second_inner_hello_that_asks_for_another_server"),
    demand("7.2", "The confirmation is made of the inner hello and the transcript.",
           BOTH + "test_accepted", BOTH + "test_accepted_after_a_retry",
           HERE + "test_random_bytes_in_a_retry_confirm_nothing"),
    # 10: security considerations
    demand("10.4", "Trial decryption is the operator's choice.", BOTH + "test_trial_decryption"),
    demand("10.12", "Nothing tells an unknown number from a failed decryption.",
           BOTH + "test_the_same_id_with_another_key_is_as_an_unknown_id"),
    demand("10.12.3", "An inner hello cannot be put into another outer one.",
           HERE + "test_an_outer_hello_that_was_changed_on_the_way_is_as_a_foreign_one"),
)  # fmt: skip
