"""Programs and libraries of `ssl` on handclasp: `python -m tests.programs` writes the page.

Each program is run in three ways, each in a process of its own: with a context of handclasp passed
to it, unchanged after `handclasp.compat.inject()`, and with handclasp at both ends. Each run needs
a success, and a refusal for a wrong authority. `install.sh` installs programs and servers.
"""
