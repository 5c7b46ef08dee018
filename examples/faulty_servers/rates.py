"""An application that fetches an exchange rate over HTTPS."""

import requests


class RateUnavailable(Exception):
    """There is no rate that could be trusted."""


def fetch_rate(url: str, ca_file: str, *, seconds: float = 2.0) -> float:
    """Return the rate that a server publishes as a line of text; raise `RateUnavailable`."""
    try:
        response = requests.get(url, verify=ca_file, timeout=seconds)
        response.raise_for_status()
    except requests.exceptions.RequestException as error:
        raise RateUnavailable(str(error)) from error
    # requests takes the end of the connection for the end of a page without a length, even if it
    # was cut off. Without this check, "1.25" could arrive as "1.2".
    if not response.text.endswith("\n"):
        raise RateUnavailable("The page was cut off.")
    return float(response.text)
