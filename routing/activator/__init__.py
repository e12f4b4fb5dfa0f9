"""The activator's program: says for each request of a version without a ready pod when, and to which pod, it may go."""
