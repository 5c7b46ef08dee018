"""Programs around TLS libraries for Python, all with the spine in `spine.py`.

`python -m tests.interop.peers.programs.NAME server|client FLAGS`; see `base.ProgramPeer` for
what they print. Each file holds only what differs: how that library is set up and asked.
"""
