"""The IANA names of the groups that are not spoken here, which a peer may offer anyway."""

from __future__ import annotations

from collections.abc import Mapping

_RUNS: Mapping[int, str] = {
    0x0001: "sect163k1 sect163r1 sect163r2 sect193r1 sect193r2 sect233k1 sect233r1 sect239k1 "
    "sect283k1 sect283r1 sect409k1 sect409r1 sect571k1 sect571r1 secp160k1 secp160r1 secp160r2 "
    "secp192k1 secp192r1 secp224k1 secp224r1 secp256k1",
    0x001A: "brainpoolP256r1 brainpoolP384r1 brainpoolP512r1",
    0x001F: "brainpoolP256r1tls13 brainpoolP384r1tls13 brainpoolP512r1tls13",
    0x0022: "GC256A GC256B GC256C GC256D GC512A GC512B GC512C curveSM2",
    0x0100: "ffdhe2048 ffdhe3072 ffdhe4096 ffdhe6144 ffdhe8192",
    0x0200: "MLKEM512 MLKEM768 MLKEM1024",
    0x11EE: "curveSM2MLKEM768",
    0x6399: "X25519Kyber768Draft00 SecP256r1Kyber768Draft00",
    0xFF01: "arbitrary_explicit_prime_curves arbitrary_explicit_char2_curves",
}
"""By the first number of each run."""

GROUPS_OF_OTHERS: Mapping[int, str] = {
    number: name
    for first, names in _RUNS.items()
    for number, name in enumerate(names.split(), first)
}
"""The rest of the TLS Supported Groups registry."""
