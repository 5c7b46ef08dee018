"""The rules that certificates are held to, each defined once: its name, section, check and words.

Start with `listing`, which holds the one list. The decision runs the rules that path building
leaves open, until the first that is broken; the explanation runs all of them. `rule` says what a
rule is; the other modules define them. A new rule is an object in one of these, and a line in the
list.
"""

from handclasp.certificates.rules.rule import Context, Finding

__all__ = ["Context", "Finding"]
