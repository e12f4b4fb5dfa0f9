"""A cluster of Amazon EKS: its network, control plane, nodes, add-ons, images and buckets, and a name for clients.

Each module makes the AWS resources of one concern; eks_cluster.py composes them.
"""
