"""What the way to a pod costs: the product's two Envoys beside two that do nothing but pass requests on."""

from bench.path.cost import measure

__all__ = ["measure"]
