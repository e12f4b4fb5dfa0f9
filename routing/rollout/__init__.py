"""The rollout controller: it moves traffic from one version to the next on evidence, and back."""
