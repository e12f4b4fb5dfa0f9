"""What copies a model's weights to the node before the model starts: `python3 -m headrace.runtimes weights`."""
