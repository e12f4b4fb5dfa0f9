"""Variables of a model's pods: where their values come from, and where these never show up."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pulumi
import pulumi_preview
import pytest
import yaml
from stand_ins import DELIVERY

from headrace.components import ModelEndpoint
from headrace.components.endpoint.endpoint_environment import entries, environment_faults, external_secrets, parsed
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import Recording, record

pytestmark = pytest.mark.usefixtures("stand_in_images")

REF: Any = {
    "namespace": "headrace-system",
    "url": "https://models.example",
    "image_delivery": DELIVERY,
    "image_base": {},
}
HUSH = "sk-hush-0123456789"
PROGRAM = """
import sys, types
import pulumi, pulumi_kubernetes
from headrace.components.endpoint import model_endpoint, runtime_choice
from headrace.stacks import settings

mlmodel = {"flavors": {"python_function": {}, "sklearn": {}}}

class Image(pulumi.ComponentResource):
    def __init__(self, name, args, opts=None, *, source=None, weights=None, packages=None):
        super().__init__("headrace:index:ModelImage", name, {}, opts)
        self.source = types.SimpleNamespace(
            size_bytes=1, flavors=("sklearn",), mlmodel=mlmodel, pinned_uri="models:/agent/7", identity="7"
        )
        self.weights, self.architectures = None, pulumi.Output.from_input([])
        self.version_name, self.choice = "v7", runtime_choice.choose(mlmodel, {})
        self.image = pulumi.Output.from_input("registry.example/image@sha256:" + "a" * 64)

model_endpoint.ModelImage = Image
# Where there are files alone, nothing is read.
model_endpoint.ModelEndpoint._evidence = lambda *_, **__: pulumi.Output.from_input({})
files = pulumi_kubernetes.Provider("files", render_yaml_to_directory="yaml")
config = pulumi.Config()
endpoint = model_endpoint.ModelEndpoint(
    "agent",
    {
        "platform": {"namespace": "n", "url": "https://models.example", "image_delivery": {}, "image_base": {}},
        "model_uri": "models:/agent/7",
        "environment": {
            "API_KEY": config.require_secret("key"),
            "REGION": "eu",
            **settings.read(own=["key"]).endpoints["agent"]["environment"],
        },
    },
    pulumi.ResourceOptions(provider=files),
)
pulumi.export("namespace", endpoint.namespace)
"""
"""An endpoint whose objects are written to files, in place of a cluster."""


def made(environment: Mapping[str, Any] | None = None, *, secret: Any = None) -> Recording:
    """An endpoint with these variables; with `secret`, API_KEY is a Pulumi secret of that value."""

    def program() -> None:
        outputs = {} if secret is None else {"API_KEY": pulumi.Output.secret(secret)}
        given: Any = {
            "platform": REF,
            "model_uri": "models:/agent/7",
            "environment": {**(environment or {}), **outputs},
        }
        ModelEndpoint("agent", given)

    return record(program)


def variables(recording: Recording) -> dict[str, Any]:
    """The model container's `env` by name."""
    (container,) = recording.named("agent-v7-deployment").inputs["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: {key: value for key, value in entry.items() if key != "name"} for entry in container["env"]}


def test_a_text_reaches_the_model_as_it_was_written() -> None:
    found = variables(made({"REGION": "eu", "PRICE": "5$ or $(HOME) or $$", "EMPTY": ""}))

    assert found["REGION"] == {"value": "eu"}
    assert found["EMPTY"] == {"value": ""}
    # What Kubernetes makes of it: $$ is $, and only a single $ before a bracket names a variable.
    assert found["PRICE"] == {"value": "5$$ or $$(HOME) or $$$$"}


def test_a_pulumi_secret_becomes_a_secret_that_the_pods_name() -> None:
    recording = made({"REGION": "eu"}, secret=HUSH)

    (secret,) = recording.of_kind("Secret")
    assert secret.inputs["data"] == {"API_KEY": base64.b64encode(HUSH.encode()).decode()}
    assert secret.inputs["metadata"]["namespace"] == "endpoint-agent"
    reference = variables(recording)["API_KEY"]["valueFrom"]["secretKeyRef"]
    assert reference["key"] == "API_KEY"
    assert reference["name"].startswith("agent-environment-")
    assert recording.waits_for("agent-v7-deployment", "agent-environment")


def test_a_pulumi_secret_is_in_no_object_but_that_and_is_marked_there() -> None:
    recording = made(secret=HUSH)

    for resource in recording.resources.values():
        shown = json.dumps(resource.inputs)
        if HUSH in shown or base64.b64encode(HUSH.encode()).decode() in shown:
            assert resource.secrets, resource.name
            assert resource.name in ("agent", "agent-environment")
    assert recording.named("agent").secrets == {"environment.API_KEY"}
    assert recording.named("agent-environment").secrets == {"data.API_KEY"}
    assert {"data", "stringData"} <= set(recording.named("agent-environment").request.additionalSecretOutputs)


def test_another_value_makes_another_secret_whose_name_tells_nothing_of_it() -> None:
    """The provider invents a name for an object without one: a new value rolls the pods, and no digest of it exists."""
    recording = made(secret=HUSH)
    secret = recording.named("agent-environment")

    assert "name" not in secret.inputs["metadata"]
    assert list(secret.request.replaceOnChanges) == ["data"]
    assert secret.inputs["immutable"] is True
    assert made(secret="other").named("agent-v7-deployment").inputs == recording.named("agent-v7-deployment").inputs


@pytest.mark.slow
def test_the_engine_keeps_no_readable_word_of_a_secret_and_a_new_value_rolls_the_pods(tmp_path: Path) -> None:
    def readable(text: str) -> list[str]:
        forms = (HUSH, base64.b64encode(HUSH.encode()).decode(), hashlib.sha256(HUSH.encode()).hexdigest())
        return [form for form in forms if form in text]

    def up(value: str) -> tuple[str, Any]:
        """What was shown, and what the pods' variable refers to."""
        pulumi_preview.pulumi(tmp_path, "config", "set", "--secret", "key", value).check_returncode()
        preview = pulumi_preview.pulumi(tmp_path, "preview", "--diff")
        done = pulumi_preview.pulumi(tmp_path, "up", "--yes", "--diff")
        assert done.returncode == 0, done.stdout + done.stderr
        exported = pulumi_preview.pulumi(tmp_path, "stack", "export").stdout
        shown = preview.stdout + preview.stderr + done.stdout + done.stderr + exported
        (deployment,) = [r for r in json.loads(exported)["deployment"]["resources"] if r["type"].endswith("Deployment")]
        (container,) = deployment["inputs"]["spec"]["template"]["spec"]["containers"]
        (variable,) = [entry for entry in container["env"] if entry["name"] == "API_KEY"]
        return shown, variable["valueFrom"]["secretKeyRef"]

    project = yaml.safe_load((Path(__file__).parents[3] / "Pulumi.yaml").read_text())
    pulumi_preview.started(tmp_path, PROGRAM, settings={**project["config"], "key": {"type": "string"}})
    part_of_a_setting = (("name", "agent"), ("model_uri", "models:/agent/7"), ("environment.DB_PASSWORD", HUSH))
    for path, value in part_of_a_setting:
        kind = ["--secret"] if value == HUSH else []
        at = ["--path", f"endpoints[0].{path}", value]
        pulumi_preview.pulumi(tmp_path, "config", "set", *kind, *at).check_returncode()
    shown, first = up(HUSH)
    again, unchanged = up(HUSH)
    changed, second = up("another")

    assert "API_KEY" in shown
    assert "DB_PASSWORD" in shown
    assert readable(shown + again + changed) == []
    assert first == unchanged
    assert first["name"] != second["name"]
    assert first["name"].startswith("agent-environment-")


def test_an_output_that_is_no_secret_is_kept_as_one() -> None:
    def program() -> None:
        environment = {"BUCKET": pulumi.Output.from_input("features-1a2b")}
        ModelEndpoint("agent", {"platform": REF, "model_uri": "models:/agent/7", "environment": environment})

    (secret,) = record(program).of_kind("Secret")
    assert secret.secrets == {"data.BUCKET"}


@pytest.mark.parametrize("value", [5, None, {"key": HUSH}, f"{HUSH}\0", HUSH * 10_000])
def test_a_secret_that_no_variable_can_hold_is_refused_without_telling_it(value: Any) -> None:
    with pytest.raises(ArgsError) as caught:
        made(secret=pulumi.Output.from_input(value) if value is None else value)

    assert "environment[API_KEY]" in str(caught.value)
    assert HUSH not in str(caught.value)


def test_a_key_of_a_kubernetes_secret_is_named_and_never_read() -> None:
    recording = made({"API_KEY": {"secret": "openai", "key": "api-key"}})

    assert variables(recording)["API_KEY"] == {"valueFrom": {"secretKeyRef": {"name": "openai", "key": "api-key"}}}
    assert recording.of_kind("Secret") == []


def test_a_path_in_a_store_is_read_by_the_operator_of_the_cluster() -> None:
    recording = made(
        {
            "API_KEY": {"store": "vault", "path": "apps/agent", "property": "openai"},
            "DB": {"store": "vault", "path": "apps/db"},
            "OTHER": {"store": "aws", "path": "prod/other", "store_kind": "SecretStore"},
        }
    )
    made_for = {r.inputs["spec"]["secretStoreRef"]["name"]: r for r in recording.of_kind("ExternalSecret")}

    assert made_for["vault"].inputs["spec"]["data"] == [
        {"secretKey": "API_KEY", "remoteRef": {"key": "apps/agent", "property": "openai"}},
        {"secretKey": "DB", "remoteRef": {"key": "apps/db"}},
    ]
    assert made_for["vault"].inputs["spec"]["secretStoreRef"]["kind"] == "ClusterSecretStore"
    assert made_for["aws"].inputs["spec"]["secretStoreRef"]["kind"] == "SecretStore"
    found = variables(recording)
    for name, store in (("API_KEY", "vault"), ("DB", "vault"), ("OTHER", "aws")):
        target = made_for[store].inputs["spec"]["target"]["name"]
        assert found[name]["valueFrom"]["secretKeyRef"] == {"name": target, "key": name}
        assert recording.waits_for("agent-v7-deployment", made_for[store].name)


def test_the_operators_own_schema_knows_every_field() -> None:
    """From the definition of the kind in release 0.16.1: what a field that it does not know meant would be dropped."""
    known = json.loads((Path(__file__).parents[2] / "recorded" / "external-secret-0.16.1.json").read_text())
    paths = {"KEY": {"store": "vault", "path": "apps/a", "property": "p"}, "DB": {"store": "vault", "path": "apps/db"}}
    (made_of,) = external_secrets("endpoint-agent", parsed(paths), labels={"a": "b"}).values()

    assert made_of["apiVersion"] == "external-secrets.io/v1"
    jsonschema.validate(made_of, known["schema"])
    with pytest.raises(jsonschema.ValidationError, match="secretStore"):
        jsonschema.validate({**made_of, "spec": {**made_of["spec"], "secretStore": {}}}, known["schema"])


def test_a_cluster_without_the_operator_is_found_out_before_anything_is_made() -> None:
    recording = made({"API_KEY": {"store": "vault", "path": "apps/agent"}})

    assert "v1.external-secrets.io" in recording.read
    assert "v1.external-secrets.io" not in made({"REGION": "eu"}).read
    assert recording.named("agent-namespace")  # waits for what was read, which is no resource of the program


def test_another_path_rolls_the_pods() -> None:
    def target(path: str) -> str:
        (name,) = external_secrets("n", parsed({"KEY": {"store": "vault", "path": path}}), labels={})
        return name

    assert target("one") == target("one") != target("two")


def test_variables_come_in_one_order_whoever_wrote_them() -> None:
    one, other = {"B": "2", "A": "1"}, {"A": "1", "B": "2"}

    assert entries(parsed(one), "") == entries(parsed(other), "")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"HEADRACE_WORKERS": "9"}, "environment[HEADRACE_WORKERS] cannot be set: it belongs to Headrace"),
        ({"PORT": "80"}, "environment[PORT] cannot be set: it is not read"),
        ({"HOME": "/root"}, "environment[HOME] cannot be set: it is /tmp"),
        ({"PATH": "/x"}, "environment[PATH] cannot be set"),
        ({"LD_PRELOAD": "/x.so"}, "environment[LD_PRELOAD] cannot be set: it would load libraries"),
        ({"LD_AUDIT": "/x.so"}, "environment[LD_AUDIT] cannot be set"),
        ({"PYTHONPATH": "/x"}, "environment[PYTHONPATH] cannot be set: it would change the server"),
        ({"PYTHONSTARTUP": "/x"}, "environment[PYTHONSTARTUP] cannot be set"),
        ({"KUBERNETES_SERVICE_HOST": "x"}, "environment[KUBERNETES_SERVICE_HOST] cannot be set"),
        ({"LD_PRELOAD": {"secret": "s", "key": "k"}}, "environment[LD_PRELOAD] cannot be set"),
        ({"1ST": "x"}, "environment has the name '1ST', must be letters"),
        ({"A=B": "x"}, "environment has the name 'A=B', must be letters"),
        ({"": "x"}, "environment has the name '', must be letters"),
        ({"N": 5}, "environment[N] is of type int, must be a text, a Pulumi secret,"),
        ({"N": True}, "put it in quotes"),
        ({"N": None}, "environment[N] is of type NoneType"),
        ({"N": ["a"]}, "environment[N] is of type list"),
        ({"N": {}}, "environment[N] has the keys , must be"),
        ({"N": {"value": "x"}}, "environment[N] has the keys value, must be"),
        ({"N": {"secret": "s"}}, "environment[N].key is missing; set it"),
        ({"N": {"secret": "S!", "key": "k"}}, "environment[N].secret = 'S!', must be the name of a Secret"),
        ({"N": {"secret": "s", "key": "a b"}}, "environment[N].key = 'a b', must be a key of a Secret"),
        ({"N": {"secret": "s", "key": "k", "optional": True}}, "environment[N].optional is unknown"),
        ({"N": {"store": "vault"}}, "environment[N].path is missing; set it"),
        ({"N": {"store": "v", "path": "p", "store_kind": "Vault"}}, "one of ClusterSecretStore, SecretStore"),
        ({"N": "a\0b"}, "environment[N] holds a NUL character"),
        ({"N": "x" * 131_072}, "must have at most 131070; mount a volume"),
        ("API_KEY=x", "environment must be a mapping"),
        (None, "environment must be a mapping"),
    ],
)
def test_what_cannot_be_a_variable_is_refused_with_its_name(given: Any, words: str) -> None:
    assert any(words in fault for fault in environment_faults(given)), list(environment_faults(given))


@pytest.mark.parametrize("given", [{"N": [HUSH]}, HUSH, {"LD_PRELOAD": HUSH}, {"N": {"value": HUSH}}])
def test_no_sentence_repeats_a_value(given: Any) -> None:
    assert [fault for fault in environment_faults(given) if HUSH in fault] == []
    assert list(environment_faults(given))


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MLFLOW_TRACKING_URI", "PORTFOLIO", "spring.datasource", "_X"])
def test_other_names_are_the_users(name: str) -> None:
    assert list(environment_faults({name: "x"})) == []


def test_every_fault_is_told_before_anything_is_registered() -> None:
    def program() -> None:
        bad: Any = {
            "platform": REF,
            "model_uri": "models:/agent/7",
            "environment": {"PORT": "1", "N": {"secret": "s"}},
            "egress": [{"host": "10.0.0.1", "ports": [443]}],
            "volumes": {"data": {"mount_path": "/tmp/x", "claim": "data"}},
            "service_account": {"annotations": {"eks.amazonaws.com/role-arn": "reader"}},
            "tolerations": [{"key": "gpu", "effect": "Never"}],
            "priority_class": "system-node-critical",
            "node_selector": {"disk": "a b"},
        }
        with pytest.raises(ArgsError) as caught:
            ModelEndpoint("agent", bad)
        for words in (
            "environment[PORT] cannot be set",
            "environment[N].key is missing",
            "egress[0].host = '10.0.0.1' is an address",
            "volumes['data'].mount_path = '/tmp/x' would hide",
            "service_account.annotations['eks.amazonaws.com/role-arn'] = 'reader', must be the ARN",
            "tolerations[0].effect = 'Never', must be one of",
            "priority_class = 'system-node-critical', must be",
            "node_selector['disk'] = 'a b', must be",
        ):
            assert words in str(caught.value), words

    assert record(program).resources == {}
