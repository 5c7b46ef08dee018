"""A dialogue before TLS over a blocking socket.

>>> from handclasp.starttls import opening
>>> from handclasp.starttls.blocking import hold
>>> sock = socket.create_connection(("example.com", 443))
>>> hold(sock, opening(None, "example.com"), timeout=5)  # TLS begins at once.
>>> handclasp.wrap_client(sock, server_name="example.com").close()
"""

from __future__ import annotations

import socket
import time

from handclasp.starttls.dialogue import Dialogue

_READ = 16 * 1024


def hold(sock: socket.socket, dialogue: Dialogue, timeout: float) -> None:
    """Hold a dialogue up to the first byte of TLS, within `timeout` seconds in all.

    The timeout of the socket is as before at the end. Raises `DialogueError` or `OSError`.

    See `handclasp.starttls.blocking` for an example.
    """
    before, deadline = sock.gettimeout(), time.monotonic() + timeout
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise dialogue.time_out(timeout)
            sock.settimeout(left)
            sock.sendall(dialogue.data_to_send())
            if dialogue.is_over:
                return
            dialogue.receive_data(sock.recv(_READ))
    except TimeoutError:
        raise dialogue.time_out(timeout) from None
    finally:
        sock.settimeout(before)
