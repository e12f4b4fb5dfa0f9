"""The product as one: every part at its default, on a real cluster, through the whole path."""
