"""What an agent is let see: tools over what the commands show, and SQL in a process of its own."""
