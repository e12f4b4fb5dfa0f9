"""What serves every endpoint: proxies, load balancer, control plane, autoscaler, and their images."""
