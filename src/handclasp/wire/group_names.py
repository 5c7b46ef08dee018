"""The names of the groups that are not spoken here, as IANA has them: what is offered has a name."""

from __future__ import annotations

from collections.abc import Mapping

_OF_RFC8422 = (
    "sect163k1 sect163r1 sect163r2 sect193r1 sect193r2 sect233k1 sect233r1 sect239k1 sect283k1 "
    "sect283r1 sect409k1 sect409r1 sect571k1 sect571r1 secp160k1 secp160r1 secp160r2 secp192k1 "
    "secp192r1 secp224k1 secp224r1 secp256k1"
)
GROUPS_OF_OTHERS: Mapping[int, str] = {
    **dict(enumerate(_OF_RFC8422.split(), 0x0001)),
    **dict(enumerate(("brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"), 0x001A)),
    **dict(
        enumerate(
            ("brainpoolP256r1tls13", "brainpoolP384r1tls13", "brainpoolP512r1tls13"), 0x001F
        )
    ),
    **dict(enumerate("GC256A GC256B GC256C GC256D GC512A GC512B GC512C curveSM2".split(), 0x0022)),
    **dict(enumerate("ffdhe2048 ffdhe3072 ffdhe4096 ffdhe6144 ffdhe8192".split(), 0x0100)),
    **dict(enumerate(("MLKEM512", "MLKEM768", "MLKEM1024"), 0x0200)),
    0x11EE: "curveSM2MLKEM768",
    0x6399: "X25519Kyber768Draft00",
    0x639A: "SecP256r1Kyber768Draft00",
    0xFF01: "arbitrary_explicit_prime_curves",
    0xFF02: "arbitrary_explicit_char2_curves",
}
"""The rest of the TLS Supported Groups registry, and two drafts' that are seen in the wild."""
