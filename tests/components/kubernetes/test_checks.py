"""Rules on inputs, each by what it lets pass and what it says when it does not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi_preview import preview

from headrace.components.kubernetes import checks


def test_all_faults_of_one_set_of_inputs_come_in_one_error() -> None:
    with pytest.raises(checks.ArgsError) as caught:
        checks.require(
            "PopProxy 'edge'", checks.at_least("replicas", 0, 1), checks.node_port("node_port", 443), iter(())
        )

    assert str(caught.value) == (
        "PopProxy 'edge': replicas = 0, must be at least 1; node_port = 443, must be between 30000 and 32767"
    )
    assert len(caught.value.faults) == 2


@pytest.mark.slow  # the real engine runs the program
def test_an_args_error_is_one_line_of_a_preview_without_a_stack_trace(tmp_path: Path) -> None:
    done = preview(
        tmp_path,
        "from headrace.components import LoadBalancer\nLoadBalancer('edge', {'image': '', 'replicas': 0})\n",
    )

    assert done.returncode != 0
    assert "error: LoadBalancer 'edge': image is missing; set it; replicas = 0, must be at least 1\n" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_no_fault_no_error() -> None:
    checks.require("ServingPlatform 'p'", checks.at_least("replicas", 1, 1), checks.unique("names", ["a", "b"]))


def test_a_misspelled_input_is_named_with_the_ones_that_exist() -> None:
    assert list(checks.known_keys({"model_url": "x"}, ["model_uri", "cpu"])) == [
        "unknown input 'model_url', must be one of cpu, model_uri"
    ]


@pytest.mark.parametrize("args", [{}, {"model_uri": None}, {"model_uri": ""}])
def test_a_required_input_that_is_absent_or_empty_is_missing(args: dict[str, object]) -> None:
    assert list(checks.present(args, "model_uri")) == ["model_uri is missing; set it"]


def test_zero_is_a_value_and_not_missing() -> None:
    assert list(checks.present({"replicas": 0}, "replicas")) == []


@pytest.mark.parametrize("name", ["fraud", "a", "7", "churn-2", "a" * 54])
def test_endpoint_names_that_fit_a_namespace_pass(name: str) -> None:
    assert list(checks.endpoint_name("name", name)) == []


@pytest.mark.parametrize("name", ["", "Fraud", "fraud_2", "-a", "a-", "a.b", "a" * 55, "fraud\n", "ß"])
def test_endpoint_names_that_do_not_fit_a_namespace_are_refused(name: str) -> None:
    (fault,) = checks.endpoint_name("name", name)

    assert fault.startswith(f"name = {name!r}, must be a DNS label")


@given(st.text(max_size=70))
def test_an_accepted_name_always_makes_a_valid_namespace(name: str) -> None:
    if not list(checks.endpoint_name("name", name)):
        namespace = f"endpoint-{name}"
        assert len(namespace) <= 63
        assert namespace.encode("ascii").decode().replace("-", "a").isalnum()
        assert namespace == namespace.lower()


def test_a_name_given_twice_is_reported_once_with_its_count() -> None:
    assert list(checks.unique("endpoints[].name", ["a", "b", "a", "a"])) == [
        "endpoints[].name = 'a' is given 3 times, must be unique; rename or remove one"
    ]


def test_a_choice_outside_the_set_is_answered_with_the_set() -> None:
    assert list(checks.choice("exposure", "ingress", ["load_balancer", "node_port"])) == [
        "exposure = 'ingress', must be one of load_balancer, node_port"
    ]


@pytest.mark.parametrize("value", [{}, {"team": "risk"}, {"example.com/cost-centre": "4711"}, {"team": ""}])
def test_labels_that_kubernetes_takes_pass(value: dict[str, str]) -> None:
    assert list(checks.labels("labels", value)) == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (["team"], "must be a mapping"),
        ({"the team": "risk"}, "'the team', must be a Kubernetes label name"),
        ({"team": "risk & fraud"}, "labels['team'] = 'risk & fraud', must be at most 63"),
        ({"team": "x" * 64}, "must be at most 63"),
        ({"team": 7}, "labels['team'] = 7"),
        ({"serving.headrace.dev/endpoint": "other"}, "belongs to Headrace"),
    ],
)
def test_labels_that_kubernetes_or_we_would_refuse_are_named(value: object, words: str) -> None:
    (fault,) = checks.labels("labels", value)

    assert words in fault


@pytest.mark.parametrize("value", ["system:serviceaccount:shop:web", 7, None])
def test_a_text_is_no_list_of_texts(value: object) -> None:
    """Taken letter by letter it would admit nobody, and say nothing."""
    (fault,) = checks.texts("allowed_subjects", value)

    assert fault == f"allowed_subjects = {value!r}, must be a list of texts"


def test_an_empty_text_in_a_list_is_named_by_its_place() -> None:
    assert list(checks.texts("allowed_subjects", ["a", ""])) == [
        "allowed_subjects[1] = '', must be a text that is not empty"
    ]
