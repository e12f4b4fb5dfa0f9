"""EndpointServiceAccount: who a model's pods are to a cloud, as an input, rules and what it asks of pods.

The account is `model` in the endpoint's namespace and has no rights in the cluster. A cloud's webhook or agent gives
pods of an annotated account a token for that cloud; Amazon's Pod Identity goes by the account's name alone.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from headrace.components.kubernetes import checks

_AZURE: Final = "azure.workload.identity/client-id"
_VALUES: Final = {
    "eks.amazonaws.com/role-arn": (
        re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/.+"),
        "the ARN of a role, such as arn:aws:iam::123456789012:role/fraud",
    ),
    "iam.gke.io/gcp-service-account": (
        re.compile(r"[^@\s]+@[^@\s]+\.iam\.gserviceaccount\.com"),
        "a service account such as fraud@project.iam.gserviceaccount.com",
    ),
    _AZURE: (re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "the client ID of an identity, a UUID"),
}
"""By annotation: what clouds take, and how to say it."""


class EndpointServiceAccount(TypedDict):
    """The identity of the model's pods, the ServiceAccount `model` in the endpoint's namespace."""

    annotations: NotRequired[dict[str, pulumi.Input[str]]]
    """What a cloud reads, for example eks.amazonaws.com/role-arn, iam.gke.io/gcp-service-account or
    azure.workload.identity/client-id. Absent: none."""


@dataclass(frozen=True, kw_only=True)
class ServiceAccount:
    """EndpointServiceAccount, checked."""

    annotations: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pod_labels(self) -> dict[str, str]:
        """What pods must carry, so that the cloud's webhook looks at them."""
        return {"azure.workload.identity/use": "true"} if _AZURE in self.annotations else {}


def service_account_faults(given: object) -> Iterator[str]:
    """What is wrong with an EndpointServiceAccount, beyond the types of its fields."""
    annotations = given.get("annotations", {}) if isinstance(given, Mapping) else {}
    for key, value in annotations.items() if isinstance(annotations, Mapping) else ():
        place = f"service_account.annotations[{key!r}]"
        if not checks.is_label_name(key):
            yield f"{place} has no annotation's name, must be for example eks.amazonaws.com/role-arn"
        elif checks.is_reserved(key) or key.startswith("pulumi.com/"):
            yield f"{place} belongs to Headrace or Pulumi; choose another"
        elif isinstance(value, str):
            pattern, meaning = _VALUES.get(key, (re.compile(r"[\s\S]*"), ""))
            if not pattern.fullmatch(value):
                yield f"{place} = {value!r}, must be {meaning}"
        elif not isinstance(value, pulumi.Output):
            yield f"{place} = {value!r}, must be a text"
