"""What a decision about a chain costs on top of path building, which is cryptography's.

Its verifier is given the same bytes, the same anchors and the same time under its own policy.
Around it is only what every handshake needs: the certificates are read, and the key is taken out
of the leaf. Both keep their store. Each chain comes from another server, and there are more of
them than ours remembers, so that it decides each time, except where the row says that the chain
is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder
from tests.pki import Authority, Leaf, Pki, der_of, key_of_type

from handclasp.certificates.remembered import CAPACITY
from handclasp.certificates.trust import TrustStore
from handclasp.certificates.verify import verify_server_chain
from handclasp.cli.benchmarks.measure import Action, Row

Chain = tuple[bytes, ...]
Verifier = Callable[[Chain, str], object]


@dataclass(frozen=True, slots=True)
class Servers:
    """Servers that one authority issued to, and who trusts its root."""

    chains: dict[str, Chain]
    trust: TrustStore
    now: datetime

    def by_handclasp(self, chain: Chain, name: str) -> object:
        """The whole decision, under a policy that adds nothing."""
        return verify_server_chain(chain, self.trust, name, self.now)

    def by_cryptography(self, chain: Chain, name: str) -> object:
        """Its verifier alone, and the key that a handshake goes on with."""
        leaf, *others = [x509.load_der_x509_certificate(der) for der in chain]
        builder = PolicyBuilder().store(self.trust.store).time(self.now)
        path = builder.build_server_verifier(x509.DNSName(name)).verify(leaf, others)
        return path[0].public_key()

    def row(self, what: str) -> Row:
        """Both of them, each with one server after the other."""
        verifiers = {"handclasp": self.by_handclasp, "cryptography": self.by_cryptography}
        actions = {whose: self._in_turn(verifier) for whose, verifier in verifiers.items()}
        return Row("chains", what, actions)

    def _in_turn(self, verifier: Verifier) -> Action:
        following = cycle(self.chains.items())

        def verify_next(_: object) -> object:
            name, chain = next(following)
            return verifier(chain, name)

        return Action(verify_next)


def rows() -> Iterator[Row]:
    """Chains of several makes, and one that is known."""
    ecdsa, rsa = Pki(), Pki(key_type="rsa-2048")
    between = rsa.intermediate(key_type="rsa-2048")
    yield servers(ecdsa, ecdsa, "ecdsa-p256").row("ECDSA, leaf and root")
    yield servers(ecdsa, ecdsa.intermediate(), "ecdsa-p256").row("ECDSA, and an intermediate")
    yield servers(rsa, between, "rsa-2048").row("RSA, leaf, intermediate and root")
    yield servers(rsa, between, "rsa-2048", 1).row("RSA, a chain that is known")


def servers(root: Pki, issuer: Authority, key_type: str, count: int = CAPACITY + 1) -> Servers:
    """So many servers with a certificate each, who send all but the root."""
    key = key_of_type(key_type).public_key()
    names = [f"www{number}.example.com" for number in range(count)]
    chains = {name: der_of(issuer.issue(Leaf((name,)), key), *issuer.path) for name in names}
    return Servers(chains, TrustStore.from_certificates([root.certificate]), root.now)
