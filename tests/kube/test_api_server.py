"""Requests to an API server that answers, refuses, and is not there."""

from pathlib import Path
from typing import Any

import kubernetes
import pytest

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.kube.api_server import ApiServer, Conflict, Gone, Missing, named

PATH = "/apis/discovery.k8s.io/v1/endpointslices"


def test_pages_hold_every_object_and_the_version_to_watch_from(api: Any) -> None:
    for name in ("one", "two", "three"):
        api.put(PATH, name)

    pages = list(api.client().pages(PATH))

    assert [item["metadata"]["name"] for page, _ in pages for item in page] == ["one", "two", "three"]
    assert {version for _, version in pages} == {str(api.version)}


def test_a_merge_is_a_patch_in_the_name_of_its_manager(api: Any) -> None:
    api.client().merge("/api/v1/pods/fraud", {"status": {"phase": "Running"}})

    assert api.patches == [("/api/v1/pods/fraud", {"status": {"phase": "Running"}})]


@pytest.mark.parametrize(
    ("status", "error"), [(404, Missing), (409, Conflict), (410, Gone), (429, TemporaryError), (500, TemporaryError)]
)
def test_a_refusal_is_an_error_of_its_kind_with_what_was_asked_and_said(
    api: Any, status: int, error: type[TemporaryError]
) -> None:
    api.answer_with = status

    with pytest.raises(TemporaryError) as caught:
        api.client().get("/api/v1/pods")

    assert type(caught.value) is error
    assert str(caught.value).startswith(f"API server answered GET /api/v1/pods with {status}: ")


def test_an_api_server_that_is_not_there_is_named() -> None:
    configuration = kubernetes.client.Configuration()
    configuration.host = "http://127.0.0.1:1"

    with pytest.raises(TemporaryError, match=r"API server at http://127\.0\.0\.1:1 cannot be reached"):
        ApiServer("headrace-tests", configuration).get("/version")


def test_without_credentials_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(kubernetes.config.kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))

    with pytest.raises(PermanentError, match=r"run in a pod with a service account or set KUBECONFIG"):
        ApiServer("headrace-tests")


def test_a_cluster_scoped_object_has_no_namespace() -> None:
    assert named({"metadata": {"name": "node"}}) == ("", "node")
    assert named({"metadata": {"name": "pod", "namespace": "shop"}}) == ("shop", "pod")
