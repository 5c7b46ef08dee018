"""The ClientHellos of real browsers, as bytes: see the README in the folder of the same name."""

from pathlib import Path

_FOLDER = Path(__file__).with_name("client_hellos")

CLIENT_HELLO_NAMES = tuple(sorted(path.stem for path in _FOLDER.glob("*.hex")))


def client_hello(name: str) -> bytes:
    """The whole message, header included."""
    return bytes.fromhex((_FOLDER / f"{name}.hex").read_text("ascii"))
