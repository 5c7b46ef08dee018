"""The accelerator under the sanitizers of gcc: `python -m tests.speedups`."""
