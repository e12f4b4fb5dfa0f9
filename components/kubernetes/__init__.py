"""Kubernetes objects as plain data, and the rules that every component's inputs keep."""
