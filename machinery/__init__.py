"""What programs that control a cluster share: the API server, watched copies of its objects, a port about oneself."""
