"""Settings of the stacks of this project."""
