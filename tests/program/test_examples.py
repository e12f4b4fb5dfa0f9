"""Every example runs, without a cluster, and its README tells how."""

import json
import re
import runpy
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas
import pytest
import yaml
from stand_ins import DELIVERY, FOUND, KUBECONFIG

from headrace.components.testing import Recording, record

pytestmark = pytest.mark.usefixtures("stand_in_images")

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir())
PROGRAMS = [path for path in EXAMPLES if (path / "__main__.py").exists()]
ANSWERS = {
    **FOUND,
    "pulumi:pulumi:StackReference": {
        "outputs": {
            "platform": {
                "namespace": "headrace-system",
                "url": "https://models.example",
                "image_delivery": DELIVERY,
                "image_base": {},
            }
        }
    },
}
CONFIG = {
    "headrace:registry": "registry.example/models",
    "headrace:host": "models.example",
    "headrace:platform_stack": "acme/platform/dev",
    "headrace:model_uri": "models:/fraud/1",
    "headrace:openai_api_key": "hush",
    "headrace:office": "192.0.2.0/24",
    "headrace:zone_id": "Z1",
    "headrace:endpoints": '[{"name": "fraud", "model_uri": "models:/fraud/7"}]',
}


@pytest.fixture(autouse=True)
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cluster of the examples that name one."""
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(KUBECONFIG))
    monkeypatch.setitem(CONFIG, "headrace:kubeconfig", str(path))


def run(example: Path) -> Recording:
    return record(lambda: runpy.run_path(str(example / "__main__.py")), config=CONFIG, answers=ANSWERS)


@pytest.mark.parametrize("example", PROGRAMS, ids=lambda path: path.name)
def test_a_program_ends_with_an_endpoint_and_its_address(example: Path) -> None:
    recording = run(example)

    (thing,) = [r for r in recording.resources.values() if r.type == "headrace:index:ModelEndpoint"]
    assert recording.exports["url"].endswith(f"/serving-endpoints/{thing.name}")


def test_the_endpoint_of_another_team_makes_no_platform_of_its_own() -> None:
    recording = run(ROOT / "examples" / "02-endpoint-of-another-team")

    assert recording.of_kind("ServingPlatform") == []
    assert recording.exports["url"] == "https://models.example/serving-endpoints/churn"


def test_the_yaml_program_uses_inputs_and_outputs_that_exist() -> None:
    program = yaml.safe_load((ROOT / "examples" / "04-yaml" / "Pulumi.yaml").read_text())
    schema = json.loads((ROOT / "components" / "schema.json").read_text())["resources"]

    for resource in program["resources"].values():
        known = schema[resource["type"].replace(":", ":index:")]
        assert set(resource["properties"]) <= set(known["inputProperties"])
        assert set(known.get("requiredInputs", [])) <= set(resource["properties"])
    for reference in re.findall(r"\$\{(\w+)\.(\w+)\}", json.dumps(program)):
        token = program["resources"][reference[0]]["type"].replace(":", ":index:")
        assert reference[1] in schema[token]["properties"]


def test_an_agents_key_is_a_secret_wherever_it_is() -> None:
    recording = run(ROOT / "examples" / "07-agent")

    holders = {r.name for r in recording.resources.values() if re.search(r'"(hush|aHVzaA==)"', json.dumps(r.inputs))}
    assert holders == {"support", "support-environment"}
    assert all(recording.named(name).secrets for name in holders)


class Answering:
    """A server on the loopback that answers every POST with one document and keeps what was asked."""

    def __init__(self, document: Any) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.path, self.headers["Authorization"], body))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[Answering]:
    """The parameter is the document."""
    server = Answering(request.param)
    yield server
    server.close()


@pytest.mark.parametrize("answering", [{"choices": [{"message": {"content": "42"}}]}], indirect=True)
def test_the_agent_asks_the_api_with_the_key_of_its_environment(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = runpy.run_path(str(ROOT / "examples" / "07-agent" / "log_agent.py"))["Agent"]()
    monkeypatch.setenv("OPENAI_BASE_URL", answering.url)
    monkeypatch.setenv("OPENAI_API_KEY", "hush")

    assert agent.predict(["six by seven?"]) == ["42"]
    ((path, authorization, body),) = answering.asked
    assert (path, authorization) == ("/chat/completions", "Bearer hush")
    assert body["messages"] == [{"role": "user", "content": "six by seven?"}]


FEATURES = {
    "metadata": {"feature_names": ["customer", "calls", "months"]},
    "results": [{"values": ["a", "b"]}, {"values": [9, 1]}, {"values": [2, 3]}],
}


@pytest.mark.parametrize("answering", [FEATURES], indirect=True)
def test_the_model_scores_what_the_feature_store_knows(answering: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    model = runpy.run_path(str(ROOT / "examples" / "08-feature-store" / "log_model.py"))["Churn"]()
    monkeypatch.setenv("FEAST_URL", answering.url)
    monkeypatch.setenv("FEAST_TOKEN", "hush")

    assert model.predict(None, pandas.DataFrame({"customer": ["a", "b"]})) == [1.0, 0.25]
    ((path, authorization, body),) = answering.asked
    assert (path, authorization) == ("/get-online-features", "Bearer hush")
    assert body["entities"] == {"customer": ["a", "b"]}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_says_what_it_needs_how_it_runs_and_how_it_goes_away(example: Path) -> None:
    page = (example / "README.md").read_text()

    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings == ["## Prerequisites", "## Steps", "## Clean up"]
    assert f"]({example.name})" in (ROOT / "examples" / "README.md").read_text()


def test_settings_in_a_readme_are_those_that_its_program_reads() -> None:
    for example in PROGRAMS:
        told = set(re.findall(r"pulumi config set (?:--secret )?(\w+)", (example / "README.md").read_text()))
        read = set(re.findall(r'require(?:_secret)?\("(\w+)"\)', (example / "__main__.py").read_text()))
        assert told == read, example.name
