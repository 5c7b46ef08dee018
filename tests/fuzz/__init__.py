"""Fuzzing by the clock: `make fuzz TIME=60`. Start with `__main__`."""
