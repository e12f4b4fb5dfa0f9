"""Triton: its model repository and how its server is started for one model."""
