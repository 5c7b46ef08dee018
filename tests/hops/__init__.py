"""How much Python a handshake runs: frames, bytecodes, and the way of a ClientHello."""
