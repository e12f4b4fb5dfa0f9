"""Container images made and delivered on the deployer's machine, without a container engine."""
