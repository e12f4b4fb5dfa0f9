"""The front of a model pod: HTTP, admission, queueing and the supervision of model workers."""
