"""What tells people and programs what the platform did: tables of requests."""
