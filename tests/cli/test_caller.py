"""The caller that options name: who asks, where, and what the cluster is asked for."""

from pathlib import Path
from typing import Any

import pytest
from cluster_view import ClusterView

from headrace.cli.caller import caller
from headrace.contract import names
from headrace.contract.errors import InputError

CONFIG_MAP = f"/api/v1/namespaces/{names.SYSTEM_NAMESPACE}/configmaps/{names.PLATFORM_CONFIG_MAP}"
NOTHING: dict[str, Any] = {
    "token": "",
    "service_account": "",
    "url": "",
    "ca_file": None,
    "kubeconfig": None,
    "context": None,
}


def test_with_an_address_no_cluster_is_asked() -> None:
    given = {"token": "hush", "url": "https://models.example.com/", "kubeconfig": "/no/such/file"}
    with caller("headrace query", **{**NOTHING, **given}) as who:
        assert who.url == "https://models.example.com"
        assert who.headers == {"authorization": "Bearer hush"}
        assert who.verify is True


def test_the_cluster_tells_address_and_authority(view: ClusterView, tmp_path: Path) -> None:
    data = {names.PLATFORM_URL_KEY: "https://models.example.com", names.CA_KEY: "an authority"}
    view.server.documents[CONFIG_MAP] = {"data": data}
    given = {"token": "hush", "kubeconfig": str(tmp_path / "kubeconfig")}
    with caller("headrace query", **{**NOTHING, **given}) as who:
        assert who.url == "https://models.example.com"
        assert Path(str(who.verify)).read_text() == "an authority"


@pytest.mark.parametrize("given", [{}, {"token": "hush", "service_account": "default/me"}])
def test_one_token_is_needed_and_no_more(given: dict[str, str]) -> None:
    with pytest.raises(InputError, match="must be one of the two"), caller("headrace query", **{**NOTHING, **given}):
        pass
