"""The embedded default: a single-node Kubernetes, its toolchain and the demo, on the deployer's machine."""
