"""The control-plane pod's program: watches objects, builds snapshots and serves them to Envoys (delta xDS over ADS)."""
