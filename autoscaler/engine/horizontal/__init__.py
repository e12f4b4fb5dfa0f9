"""How many pods: the demand of a load, what one pod can do, and when pods may go."""
