"""The load client of all benchmarks, in a process of its own."""
