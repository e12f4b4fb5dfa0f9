"""How many requests one pod admits at once, learned from the traffic there is."""
