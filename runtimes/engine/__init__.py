"""The front of an engine: somebody else's program serves the model, behind our admission, drain and health."""
