"""Room: how many more pods of one template the nodes of a cluster take now. Pure, over objects as the API server has
them.

As the scheduler's filters do: cores, memory, GPUs and number of pods that others have not requested; node selector,
required node affinity and taints. What it leaves out (volumes' zones, other pods' affinity) makes it too large and
never too small.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from headrace.stacks.forecast.quantity import quantity

Object = Mapping[str, Any]
_COUNTED: Final = ("cpu", "memory", "nvidia.com/gpu")
_OVER: Final = frozenset(("Succeeded", "Failed"))


def room(template: Object, nodes: Iterable[Object], pods: Sequence[Object]) -> int:
    """How many more pods of that template fit on the nodes beside the pods that are there or wait."""
    wanted = requests(template["spec"])
    taken: dict[str, list[dict[str, Decimal]]] = {}
    for pod in pods:
        place = pod["spec"].get("nodeName")
        if place and pod.get("status", {}).get("phase") not in _OVER:
            taken.setdefault(place, []).append(requests(pod["spec"]))
    return sum(
        _fitting(node, wanted, taken.get(node["metadata"]["name"], ()))
        for node in nodes
        if admits(node, template["spec"])
    )


def requests(spec: Object) -> dict[str, Decimal]:
    """What a pod's containers request together; init containers count where one alone asks for more, sidecars always.

    https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
    """
    told = spec.get("initContainers")
    first = told if isinstance(told, list | tuple) else ()  # some are known by the update alone
    beside = [each for each in first if each.get("restartPolicy") == "Always"]
    alone = [each for each in first if each.get("restartPolicy") != "Always"]
    found = {}
    for name in _COUNTED:
        together = sum((_request(each, name) for each in (*spec["containers"], *beside)), Decimal(0))
        found[name] = max([together, *(_request(each, name) for each in alone)])
    return found


def admits(node: Object, spec: Object) -> bool:
    """Whether a pod with that spec may go to the node at all."""
    own = node["spec"]
    labels = node["metadata"].get("labels") or {}
    if own.get("unschedulable") or not _is_ready(node):
        return False
    if any(labels.get(name) != value for name, value in (spec.get("nodeSelector") or {}).items()):
        return False
    kept_away = [each for each in own.get("taints") or () if each["effect"] in {"NoSchedule", "NoExecute"}]
    if not all(_tolerates(spec.get("tolerations") or (), taint) for taint in kept_away):
        return False
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    terms = ({},) if affinity is None else affinity["nodeSelectorTerms"]
    return any(_matches(term, labels) for term in terms)


def _fitting(node: Object, wanted: Mapping[str, Decimal], taken: Sequence[Mapping[str, Decimal]]) -> int:
    has = node["status"].get("allocatable") or {}
    most = [int(has.get("pods", 0)) - len(taken)]
    for name in _COUNTED:
        if wanted[name]:
            free = quantity(has.get(name, 0)) - sum((each[name] for each in taken), Decimal(0))
            most.append(int(free // wanted[name]))
    return max(0, min(most))


def _request(container: Object, name: str) -> Decimal:
    resources = container.get("resources") or {}
    asked = (resources.get("requests") or {}).get(name, (resources.get("limits") or {}).get(name, 0))
    return quantity(asked)


def _is_ready(node: Object) -> bool:
    said = {each["type"]: each["status"] for each in node["status"].get("conditions") or ()}
    return bool(said.get("Ready", "True") == "True")


def _tolerates(tolerations: Iterable[Object], taint: Object) -> bool:
    for each in tolerations:
        alike = each.get("operator") == "Exists" or each.get("value", "") == taint.get("value", "")
        if alike and each.get("key") in {None, "", taint["key"]} and each.get("effect") in {None, "", taint["effect"]}:
            return True
    return False


def _matches(term: Object, labels: Mapping[str, str]) -> bool:
    """Operators that Headrace writes; one that it does not know keeps no node away."""
    for rule in term.get("matchExpressions") or ():
        value = labels.get(rule["key"])
        if rule["operator"] == "In" and value not in rule["values"]:
            return False
        if rule["operator"] == "NotIn" and value in rule["values"]:
            return False
        if rule["operator"] in {"Exists", "DoesNotExist"} and (value is None) == (rule["operator"] == "Exists"):
            return False
    return True
