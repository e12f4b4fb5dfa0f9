"""vLLM: how its server is started for one model."""
