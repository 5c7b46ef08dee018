"""The checks of a config, and the types of its fields.

Start in `checks`: `check_shared`, `check_client` and `check_server` run when a config is built.
"""
