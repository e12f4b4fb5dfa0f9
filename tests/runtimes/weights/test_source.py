"""Stores that weights are read from: who asks, in which words, and what no pod can read."""

import base64
from collections.abc import Callable, Iterator, Mapping

import pytest
from object_store import KEYS, KINDS, object_store
from weights_store import Files

from headrace.contract.errors import InputError, PermanentError
from headrace.runtimes.weights.source import opened

Serving = Callable[[Mapping[str, bytes]], Files]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"MLFLOW_TRACKING_TOKEN": "t"}, "Bearer t"),
        (
            {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "pä:ss", "MLFLOW_TRACKING_TOKEN": "t"},
            "Basic " + base64.b64encode("me:pä:ss".encode()).decode(),
        ),
    ],
)
def test_an_mlflow_server_is_told_who_asks_as_mlflow_does(
    serving: Serving, environment: dict[str, str], expected: str | None
) -> None:
    files = serving({"w.bin": b"12345"})

    data, size = opened(files.uri, files.tracking_uri, environment).part("w.bin", 1, 3)

    assert (bytes(data), size) == (b"23", 5)
    assert files.authorization == {expected}


@pytest.mark.parametrize("uri", ["dbfs:/m", "/models/m", "file:///m", "models:/m/1", ""])
def test_what_no_pod_reads_is_refused_by_its_uri(uri: str) -> None:
    with pytest.raises(InputError, match="must be of the scheme mlflow-artifacts, s3, gs, abfss, wasbs"):
        opened(uri, "http://mlflow", {})


@pytest.mark.parametrize(
    "uri",
    ["gs://bucket/m", "abfss://files@account.dfs.core.windows.net/m", "wasbs://files@account.blob.core.windows.net/m"],
)
def test_other_clouds_stores_are_known_by_their_uris(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked of them: no such store is here."""
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")

    assert opened(uri, "", {}) is not None


@pytest.fixture(params=KINDS)
def s3(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An object store that speaks S3, with one file; its clients' environment."""
    objects = {"models/1/data/w b.bin": bytes(range(256)) * 1000}
    with object_store(request.param, bucket="bucket", objects=objects) as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("s3")
def test_an_object_store_is_read_by_ranges() -> None:
    store = opened("s3://bucket/models/1", "", {})

    data, size = store.part("data/w b.bin", 255, 258)
    assert (bytes(data), size) == (b"\xff\x00\x01", 256_000)
    assert b"".join(store.whole("data/w b.bin")) == bytes(range(256)) * 1000
    with pytest.raises(PermanentError, match="are not there any more"):
        store.part("data/other.bin", 0, 1)


def test_requests_to_an_object_store_are_signed(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    files = serving({})
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(PermanentError):
        opened("s3://bucket/models/1", "", {"MLFLOW_S3_ENDPOINT_URL": files.tracking_uri}).part("w.bin", 0, 1)

    (sent,) = files.authorization
    assert str(sent).startswith("AWS4-HMAC-SHA256 Credential=me/")
