"""What of a pod template is not what runs."""

import copy
from typing import Any

import pytest

from headrace.stacks.forecast.restarts import LATER, differences

WANTED: dict[str, Any] = {
    "metadata": {"labels": {"app": "model"}},
    "spec": {
        "automountServiceAccountToken": False,
        "containers": [
            {
                "name": "model",
                "image": "models/fraud@sha256:1",
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "hush"}],
                "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}},
                "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
            }
        ],
        "volumes": [{"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}],
        "tolerations": [],
    },
}


def there() -> dict[str, Any]:
    """As an API server gives it back: with defaults, quantities in its own form."""
    found = copy.deepcopy(WANTED)
    found["metadata"]["creationTimestamp"] = None
    found["spec"] |= {"dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}
    del found["spec"]["tolerations"]
    model = found["spec"]["containers"][0]
    model |= {"terminationMessagePath": "/dev/termination-log"}
    model["resources"] = {"requests": {"cpu": "1", "memory": "1Gi"}}
    return found


def changed(**model: Any) -> dict[str, Any]:
    wanted = copy.deepcopy(WANTED)
    wanted["spec"]["containers"][0] |= model
    return wanted


def test_defaults_and_other_spellings_are_no_difference() -> None:
    assert list(differences(WANTED, there())) == []


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        (changed(image="models/fraud@sha256:2"), "image"),
        (changed(image=LATER), "image, built by the update"),
        (changed(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "new"}]), "env[B].value"),
        (changed(env=[{"name": "A", "value": "1"}]), "env[B], which goes"),
        (changed(env=[*WANTED["spec"]["containers"][0]["env"], {"name": "C", "value": ""}]), "env[C], which is new"),
        (changed(resources={"requests": {"cpu": "1", "memory": "2Gi"}}), "resources.requests.memory"),
        (changed(resources={"requests": {"cpu": "1"}}), "resources.requests.memory, which goes"),
        (changed(command=["serve"]), "command"),
    ],
)
def test_a_difference_is_told_by_its_place_and_never_by_its_value(wanted: Any, place: str) -> None:
    (found,) = differences(wanted, there())

    assert found == f"spec.containers[model].{place}"
    assert "hush" not in found


def test_a_label_that_goes_is_a_difference_and_one_of_kubectl_is_not() -> None:
    found = there()
    found["metadata"]["labels"]["team"] = "fraud"
    wanted = copy.deepcopy(WANTED)
    wanted["metadata"]["annotations"] = {}
    found["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "today"}

    assert list(differences(wanted, found)) == ["metadata.labels.team, which goes"]
