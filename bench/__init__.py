"""How fast handclasp is, as a ratio against `ssl` in the same process and run.

Absolute times drift with the machine; the ratio of two things measured in turn does not. Start
with `__main__`.
"""
