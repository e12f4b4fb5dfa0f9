"""What our front costs in front of vLLM on a GPU."""
