"""Protocols as pure functions: bytes to requests, results to bytes, failures to each protocol's words."""
