"""The backend whose worker processes evaluate an MLflow model in its own environment."""
