"""Which runtime serves a model, with which command line and resources: pure functions of its MLmodel file."""
