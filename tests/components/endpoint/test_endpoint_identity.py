"""Who a model's pods are to a cloud."""

from typing import Any

import pulumi
import pytest
from stand_ins import DELIVERY

from headrace.components import ModelEndpoint
from headrace.components.endpoint.endpoint_identity import service_account_faults
from headrace.components.testing import Recording, record

pytestmark = pytest.mark.usefixtures("stand_in_images")

REF: Any = {
    "namespace": "headrace-system",
    "url": "https://models.example",
    "image_delivery": DELIVERY,
    "image_base": {},
}
ROLE = "arn:aws:iam::123456789012:role/features"


def made(annotations: dict[str, Any]) -> Recording:
    def program() -> None:
        given = {key: value() if callable(value) else value for key, value in annotations.items()}
        service_account: Any = {"annotations": given}
        ModelEndpoint("fraud", {"platform": REF, "model_uri": "models:/fraud/7", "service_account": service_account})

    return record(program)


def pod(recording: Recording) -> Any:
    return recording.named("fraud-v7-deployment").inputs["spec"]["template"]


def test_the_account_carries_what_the_cloud_reads_and_still_no_token_of_the_cluster() -> None:
    recording = made({"eks.amazonaws.com/role-arn": ROLE})
    account = recording.named("fraud-account").inputs

    assert account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] == ROLE
    assert account["automountServiceAccountToken"] is False
    assert pod(recording)["spec"]["automountServiceAccountToken"] is False
    assert pod(recording)["spec"]["serviceAccountName"] == account["metadata"]["name"]


def test_a_role_that_the_program_makes_is_known_later() -> None:
    recording = made({"eks.amazonaws.com/role-arn": lambda: pulumi.Output.from_input(ROLE)})

    assert recording.named("fraud-account").inputs["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] == ROLE


def test_azure_looks_only_at_pods_with_its_label() -> None:
    azure = made({"azure.workload.identity/client-id": "00000000-0000-4000-8000-0123456789ab"})

    assert pod(azure)["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert "azure.workload.identity/use" not in pod(made({"eks.amazonaws.com/role-arn": ROLE}))["metadata"]["labels"]
    selector = azure.named("fraud-v7-deployment").inputs["spec"]["selector"]["matchLabels"]
    assert "azure.workload.identity/use" not in selector


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("eks.amazonaws.com/role-arn", "features", "must be the ARN of a role"),
        ("iam.gke.io/gcp-service-account", "features", "must be a service account such as"),
        ("azure.workload.identity/client-id", "features", "must be the client ID of an identity"),
        ("serving.headrace.dev/platform", "x", "belongs to Headrace or Pulumi"),
        ("pulumi.com/skipAwait", "false", "belongs to Headrace or Pulumi"),
        ("not a name", "x", "has no annotation's name"),
        ("example.com/team", 5, "= 5, must be a text"),
    ],
)
def test_an_annotation_that_no_cloud_would_read_is_told(key: str, value: Any, words: str) -> None:
    (fault,) = service_account_faults({"annotations": {key: value}})

    assert fault.startswith(f"service_account.annotations[{key!r}]")
    assert words in fault
