"""What controllers share: the API server's client, informers, the leader's lease and the admin server."""
