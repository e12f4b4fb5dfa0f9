"""What `pulumi up` says of the proof of a version: pure functions of what the API server has.

The control plane writes the proof to the ModelEndpoint's status within moments after the first pod is ready, which is
what Pulumi waits for. So the status is read then, and not earlier than the moments allow.
"""

import datetime
from collections.abc import Mapping
from typing import Any, Final

from headrace.contract.evidence import Proof

MOMENTS_SECONDS: Final = 2.0
"""EndpointSlice, control plane, a request to the pod and one to the API server. Kubernetes tells whole seconds."""


def wait_seconds(deployment_status: Any, now: datetime.datetime) -> float:
    """How long to wait before the proof is read: not at all where the Deployment has not changed just now."""
    conditions = (deployment_status or {}).get("conditions") or () if isinstance(deployment_status, Mapping) else ()
    times = [_time(condition.get("lastUpdateTime")) for condition in conditions]
    changed = max((time for time in times if time is not None), default=None)
    if changed is None:
        return 0.0
    return min(MOMENTS_SECONDS, max(0.0, MOMENTS_SECONDS - (now - changed).total_seconds()))


def sentence(proof: Proof | None, *, version: str, place: str) -> str:
    """For the user; `place` is the object's namespace and name, with a slash between them."""
    if proof is not None:
        return f"{'Proven' if proof.holds else 'Not proven'}: {version} {proof.sentence()}"
    namespace, _, name = place.partition("/")
    look = f"kubectl -n {namespace} get modelendpoint {name} -o yaml"
    return f"{version} has told no proof yet: a pod tells it once it is ready ({look})"


def _time(text: Any) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
