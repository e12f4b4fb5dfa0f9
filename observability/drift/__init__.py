"""Drift: compares an endpoint's recent requests, predictions and labels with those of its first days."""
