"""The Kubernetes cluster that everything else is put into."""
