"""Words shared by programs that never import each other. Standard library only."""
