"""The errors of a lookup: the name publishes no ECH configuration, or nobody knows."""

from __future__ import annotations

from handclasp.explained import ExplainedError, WhoIsToBlame


class DnsError(ExplainedError):
    """A lookup that failed, so that it is not known whether the name has an ECH configuration.

    Do not connect in the clear then: an attacker who can block the answer of the DNS could make
    programs show the name that way (RFC 9460 section 3.1). An answer that says that there is none
    is a `NoEchError`.

    >>> from handclasp.dns import DnsError, NoEchError
    >>> try:
    ...     raise DnsError.timeout("secret.example", 5)
    ... except NoEchError:
    ...     print("It has none.")
    ... except DnsError as error:
    ...     print(error.name, error)
    DNS_TIMEOUT The HTTPS record of secret.example did not come within 5 seconds.

    Attributes:
        name: "DNS_NO_ECH", "DNS_TIMEOUT", "DNS_MALFORMED" or "DNS_FAILED".
        message, explanation, fix, blame, condition: as in `ExplainedError`.
    """

    def __init__(
        self,
        message: str,
        name: str = "DNS_FAILED",
        fix: str = "Check the address of the DNS server, and see its log.",
        *,
        blame: WhoIsToBlame = "unclear",
        condition: str = "the DNS server, the network between, or this machine's settings",
        explanation: str = "It is not known whether the server has ECH, so nothing was sent to it.",
    ) -> None:
        super().__init__(name, message, explanation, fix, blame, condition)

    @classmethod
    def timeout(cls, query: str, seconds: float, what: str = "HTTPS record") -> DnsError:
        """Return the error for an answer that did not come in time."""
        message = f"The {what} of {query} did not come within {seconds:g} seconds."
        return cls(message, "DNS_TIMEOUT")

    @classmethod
    def malformed(cls, query: str, why: str) -> DnsError:
        """Return the error for a record that breaks the rules of RFC 9460 or RFC 9848."""
        return cls(
            f"The HTTPS record of {query} is malformed: {why}.",
            "DNS_MALFORMED",
            "Correct the record; `handclasp ech show FILE --name NAME` prints one.",
            blame="server",
            condition="whose record it is, unless something on the way has changed it",
        )


class NoEchError(DnsError):
    """An answer of the DNS which says that a name has no ECH configuration that can be used.

    See `DnsError` for an example.
    """

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            "DNS_NO_ECH",
            "If everybody on the way may read the server's name, connect without ECH; else the "
            "server's operator has to publish a configuration.",
            blame="server",
            condition="which does not publish any, unless the name is spelled wrong",
            explanation="Without the server's configuration, its name cannot be encrypted.",
        )
