"""Settings of a stack: what a configuration means and what is said about a wrong one."""

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import record
from headrace.stacks import settings

STACK_FILES = sorted((Path(__file__).parents[2] / "stacks").glob("Pulumi.*.yaml"))
PROJECT = yaml.safe_load((Path(__file__).parents[2] / "Pulumi.yaml").read_text())


def configuration(**changes: Any) -> dict[str, str]:
    """The defaults of Pulumi.yaml under `changes`, in the form in which the engine hands them over."""
    values = {key: entry["default"] for key, entry in PROJECT["config"].items()} | changes
    return {f"headrace:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def read(**changes: Any) -> settings.Settings:
    found: settings.Settings = record(settings.read, config=configuration(**changes)).returned
    return found


def faults(**changes: Any) -> tuple[str, ...]:
    def program() -> tuple[str, ...]:
        with pytest.raises(ArgsError) as caught:
            settings.read()
        return caught.value.faults

    found: tuple[str, ...] = record(program, config=configuration(**changes)).returned
    return found


def test_every_setting_has_a_default_and_a_sentence_on_it_in_the_project_file() -> None:
    for key, entry in PROJECT["config"].items():
        assert "default" in entry, key
        assert len(entry["description"]) > 20, key


def test_an_untouched_stack_adopts_the_current_cluster_and_serves_nothing() -> None:
    found = read()

    assert found.cluster == {}
    assert found.platform == {
        "exposure": "load_balancer",
        "node_port": 30443,
        "server_names": [],
        "autoscaler": True,
        "replicas": 2,
        "image_base": {},
        "labels": {},
    }
    assert found.endpoints == {}


def test_a_cluster_that_moves_its_api_server_has_its_blocks_named() -> None:
    assert read(api_server_addresses=["10.0.0.0/24"]).platform["api_server_addresses"] == ["10.0.0.0/24"]


def test_prices_are_the_platforms_and_the_forecasts() -> None:
    found = read(prices={"node": {"per_hour": 0.31}, "currency": "EUR"})

    assert found.platform["prices"] == {"node": {"per_hour": 0.31}, "currency": "EUR"}
    assert (found.prices.node.per_hour, found.prices.currency) == (0.31, "EUR")


def test_a_stack_names_the_issuers_that_it_trusts() -> None:
    corp = {"issuer": "https://login.corp.test", "groups_claim": "groups"}

    assert read(token_issuers=[corp]).platform["token_issuers"] == [corp]
    assert faults(token_issuers={"issuer": "https://login.corp.test"})[0].startswith("token_issuers")
    [twice] = faults(token_issuers=[corp, corp])
    assert twice.startswith("token_issuers[1].issuer = 'https://login.corp.test' is that of token_issuers[0] too")


def test_a_stack_names_what_it_revokes() -> None:
    assert read(revoked={"tokens": ["6f1c"]}).platform["revoked"] == {"tokens": ["6f1c"]}
    assert "revoked" not in read().platform
    assert faults(revoked={"token": ["6f1c"]}) == ("revoked.token is unknown, must be one of subjects, tokens",)


def test_nodes_are_asked_for_their_processors_where_they_pull_images_and_nobody_said() -> None:
    pushed = {"kind": "registry", "repository": "registry.example.com/models"}

    assert read(image_delivery=pushed).cluster == {"asks_nodes": True}
    said = read(image_delivery=pushed, architectures=["arm64"])
    assert said.cluster == {}
    assert said.platform["architectures"] == ["arm64"]
    assert faults(architectures=["arm"]) == ("architectures = 'arm', must be one of amd64, arm64",)


def test_an_endpoint_inherits_the_stacks_tracking_server_and_labels() -> None:
    found = read(
        tracking_uri="http://mlflow",
        labels={"team": "risk", "stage": "test"},
        endpoints=[
            {"name": "fraud", "model_uri": "models:/fraud/7"},
            {"name": "churn", "model_uri": "models:/churn/1", "tracking_uri": "http://own", "labels": {"team": "crm"}},
        ],
    )

    assert found.endpoints["fraud"] == {
        "model_uri": "models:/fraud/7",
        "tracking_uri": "http://mlflow",
        "labels": {"team": "risk", "stage": "test"},
    }
    assert found.endpoints["churn"]["tracking_uri"] == "http://own"
    assert found.endpoints["churn"]["labels"] == {"team": "crm", "stage": "test"}


def test_two_endpoints_with_one_name_are_refused() -> None:
    twice = {"name": "fraud", "model_uri": "models:/fraud/7"}

    assert faults(endpoints=[twice, twice]) == (
        "endpoints[].name = 'fraud' is given 2 times, must be unique; rename or remove one",
    )


def test_every_fault_of_a_stack_is_told_at_once() -> None:
    found = faults(
        image_delivery={"kind": "pigeon"},
        labels=["team"],
        endpoints=[
            {"name": "Fraud", "model_uri": "models:/fraud/7"},
            {"name": "churn"},
            {"name": "price", "model_uri": "models:/price/1", "min_replica": 1},
            {"name": 7, "model_uri": "models:/seven/1"},
            "just text",
        ],
    )

    assert [fault.split(",")[0] for fault in found] == [
        "labels = ['team']",
        "image_delivery: kind = 'pigeon'",
        "endpoints[0].name = 'Fraud'",
        "endpoints[1]: model_uri is missing; set it",
        "endpoints[2]: unknown input 'min_replica'",
        "endpoints[3].name = 7",
        "endpoints[4] = 'just text'",
    ]


def test_a_zero_is_kept_as_a_zero() -> None:
    """`get_int(...) or default` would turn it into the default; the component then says what is wrong with it."""
    assert read(platform_replicas=0).platform["replicas"] == 0


def test_every_text_of_an_endpoints_variables_is_a_secret() -> None:
    """The engine decrypts parts of a setting and does not tell which: `pulumi config set --secret --path …` is one."""
    variables = {"API_KEY": "hush", "DB": {"secret": "db", "key": "password"}, "N": 5}
    endpoints = [{"name": "fraud", "model_uri": "models:/fraud/7", "environment": variables}]
    found = read(endpoints=endpoints).endpoints["fraud"]["environment"]

    assert isinstance(found["API_KEY"], pulumi.Output)
    assert {name: value for name, value in found.items() if name != "API_KEY"} == {"DB": variables["DB"], "N": 5}
    assert "environment" not in read(endpoints=[{"name": "a", "model_uri": "m"}]).endpoints["a"]
    weights = {"above_mib": 1, "environment": {"TOKEN": "hush"}}
    copied = read(endpoints=[{"name": "a", "model_uri": "m", "weights": weights}]).endpoints["a"]["weights"]
    assert isinstance(copied["environment"]["TOKEN"], pulumi.Output)
    assert copied["above_mib"] == 1
    odd = [{"name": "a", "model_uri": "m", "environment": "all"}]
    assert read(endpoints=odd).endpoints["a"]["environment"] == "all", "refused later, with everything else"


def test_the_settings_that_are_known_are_those_of_the_project_file() -> None:
    assert set(PROJECT["config"]) == settings.KNOWN


def test_a_setting_that_nobody_reads_is_refused_with_the_one_that_may_be_meant() -> None:
    assert faults(exposre="node_port", whatever=1) == (
        "unknown setting 'exposre'; did you mean exposure",
        "unknown setting 'whatever'; docs/settings.md lists those that there are",
    )


@pytest.mark.parametrize("path", STACK_FILES, ids=lambda path: path.stem)
def test_the_file_of_a_stack_has_settings_that_can_be_read(path: Path) -> None:
    """As they are committed: what is each machine's own is set beside them."""
    given = yaml.safe_load(path.read_text())["config"]
    values = {key.removeprefix("headrace:"): value for key, value in given.items()}
    assert read(**values).endpoints.keys() == {entry["name"] for entry in values.get("endpoints", [])}
    assert path.read_text().startswith("# "), "a file says what its stack is for"
