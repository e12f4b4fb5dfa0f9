"""The deployer's own server."""
