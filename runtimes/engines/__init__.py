"""The backend in which somebody else's program serves the model, behind our admission, drain and health."""
