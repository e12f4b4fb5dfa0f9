"""The table writer: puts records of requests into Delta tables, each exactly once."""
