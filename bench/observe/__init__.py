"""What a record of every request costs."""
