"""The process that runs the model, in the model's own environment. Standard library only until the model is loaded."""
