"""Records of requests: on their way from the front to the sidecar. Pure but for files; no sockets, no processes."""
