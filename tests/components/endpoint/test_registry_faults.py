"""What a person reads when a registry or a store says no: who, what, and what to do about it."""

import pytest

from headrace.components.endpoint import registry_faults
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.images.tracking import TrackingError

SUBJECT = "model_uri = 'models:/fraud/1'"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (TrackingError("RESOURCE_DOES_NOT_EXIST", "Model not found"), PermanentError, "does not exist on the tracking"),
        (TrackingError("UNAUTHENTICATED", "HTTP 401"), PermanentError, "refused access .* set MLFLOW_TRACKING_TOKEN"),
        (TrackingError("PERMISSION_DENIED", "no"), PermanentError, r"refused access \(no\)"),
        (TrackingError("ENDPOINT_NOT_FOUND", "HTTP 404"), PermanentError, "no such request .* an MLflow server's"),
        (TrackingError("INVALID_PARAMETER_VALUE", "bad stage"), PermanentError, "refused it: bad stage"),
        (TrackingError("UNAVAILABLE", "refused\nmore"), TemporaryError, r"cannot be reached or failed \(refused\);"),
        (ImportError("no", name="sqlalchemy"), PermanentError, r"needs the package 'sqlalchemy'.*`pip install sqlal"),
    ],
)
def test_a_servers_refusal_says_what_to_do(error: Exception, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words), registry_faults.of_server(SUBJECT, "http://mlflow.example"):
        raise error


def test_what_is_there_is_said_instead_of_what_is_missing() -> None:
    def missing() -> str:
        return "the model 'fraud' has no version 1; it has 2"

    with (
        pytest.raises(PermanentError, match="has no version 1; it has 2"),
        registry_faults.of_server(SUBJECT, "http://mlflow.example", missing=missing),
    ):
        raise TrackingError("RESOURCE_DOES_NOT_EXIST", "not found")


@pytest.mark.parametrize(
    ("location", "credentials", "package"),
    [
        ("s3://bucket/model", "AWS_ACCESS_KEY_ID", "boto3"),
        ("gs://bucket/model", "GOOGLE_APPLICATION_CREDENTIALS", "google-cloud-storage"),
        ("wasbs://c@account.blob.core.windows.net/model", "AZURE_STORAGE", "azure-storage-blob azure-identity"),
        ("abfss://c@account.dfs.core.windows.net/model", "AZURE_STORAGE", "azure-storage-file-datalake"),
        ("models:/main.risk.fraud/3", "DATABRICKS_HOST and DATABRICKS_TOKEN", "mlflow-skinny.databricks."),
        ("dbfs:/databricks/mlflow/1", "DATABRICKS_HOST and DATABRICKS_TOKEN", "mlflow-skinny.databricks."),
        ("mlflow-artifacts:/1/models", "MLFLOW_TRACKING_TOKEN", "missing"),
    ],
)
def test_each_store_has_its_own_remedy(location: str, credentials: str, package: str) -> None:
    with (
        pytest.raises(PermanentError, match=f"the artifact store refused access to .*; set {credentials}"),
        registry_faults.of_store(SUBJECT, location),
    ):
        raise TrackingError("PERMISSION_DENIED", "Access Denied")
    with (
        pytest.raises(PermanentError, match=f"need the package 'missing'.*`pip install {package}"),
        registry_faults.of_store(SUBJECT, location),
    ):
        raise ImportError("no", name="missing")


@pytest.mark.parametrize("error", [TrackingError("UNAVAILABLE", "time out"), OSError("time out")])
def test_a_store_that_does_not_answer_may_do_so_later(error: Exception) -> None:
    with (
        pytest.raises(TemporaryError, match=r"cannot be read at s3://b/m \(time out\); see that this machine reaches"),
        registry_faults.of_store(SUBJECT, "s3://b/m"),
    ):
        raise error
