"""Benchmarks: each `python -m bench.NAME` writes bench/results/NAME.json and a plot beside it."""
