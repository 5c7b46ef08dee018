"""change_cipher_spec and Finished, both ways: the end of every handshake of TLS 1.2.

Each side announces its new keys by change_cipher_spec, and the first message under them is its
Finished, which covers all messages before it (RFC 5246 sections 7.1 and 7.4.9).
"""

from __future__ import annotations

from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.finished import CheckedFinished, check_finished
from handclasp.keys.epoch import Epoch
from handclasp.keys.schedule12 import MasterSecret12
from handclasp.keys.traffic import TrafficKeys
from handclasp.wire.messages import Finished


def send_finished(
    hs: HandshakeContext, master_secret: MasterSecret12, sender: str, keys: TrafficKeys
) -> bytes:
    """Send under these keys, first this side's Finished; return its verify_data.

    Args:
        sender: the role of this side, "client" or "server".
    """
    verify_data = master_secret.verify_data(sender, hs.transcript.digest())
    hs.require_records().send_change_cipher_spec()
    hs.install_write(Epoch.APPLICATION, keys)
    hs.send(Finished(verify_data))
    return verify_data


async def receive_finished(
    hs: HandshakeContext, master_secret: MasterSecret12, sender: str, keys: TrafficKeys
) -> CheckedFinished:
    """Wait for the peer's new keys and its Finished under them. Raises `ProtocolError`.

    Args:
        sender: the role of the peer, "client" or "server".
    """
    await hs.receive_change_cipher_spec()
    hs.install_read(Epoch.APPLICATION, keys)
    expected = master_secret.verify_data(sender, hs.transcript.digest())
    return check_finished(await hs.receive_raw(Finished), expected)
