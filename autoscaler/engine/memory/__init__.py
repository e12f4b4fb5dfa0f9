"""What one decision leaves to the next, and how each part of it goes on."""
