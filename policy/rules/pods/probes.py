"""What is kept running is asked whether it works: without a probe a hung pod gets requests for ever."""

from collections.abc import Iterator

from rules.pods.pod_specs import servers
from rules.rule import ObjectRule, Resource, Settings

_PROBES = ("readinessProbe", "livenessProbe")


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    for pod in servers(resource):
        for container in pod.spec.get("containers") or ():
            missing = [probe for probe in _PROBES if not container.get(probe)]
            if missing and container.get("ports"):
                yield (
                    f"container {container.get('name')} gets requests and nobody asks whether it answers; set "
                    f"{' and '.join(missing)}"
                )


RULE = ObjectRule(
    name="kubernetes-container-probes",
    description="Containers with ports have readiness and liveness probes.",
    judge=_judge,
)
