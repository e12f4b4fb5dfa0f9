"""Names and labels of Headrace's objects. The policy process cannot import the contract, so that it restates them."""

from typing import Final

ENDPOINT: Final = "serving.headrace.dev/endpoint"
"""On everything of an endpoint: its name."""
COMPONENT: Final = "serving.headrace.dev/component"
"""On the platform's own pods, of which the control plane does talk to the API server: which part they are."""
EVIDENCE: Final = "serving.headrace.dev/evidence"
"""Annotation of an endpoint that was promoted: the signed evidence of its version."""
ENDPOINT_NAMESPACE: Final = "endpoint-"
"""Beginning of the names of endpoints' namespaces."""
POP_PROXY: Final = "pop-proxy"
LOAD_BALANCER: Final = "load-balancer"
ROUTING: Final = "routing"
