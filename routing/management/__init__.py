"""The management API: what a caller may know of the endpoints that it may call, in Databricks' words and others'."""
