"""The objects of a stack as scanners of other people judge them: checkov and kube-score. What they are told to pass
over is here, with the reason."""

import json
import os
import runpy
import subprocess
from pathlib import Path
from typing import Any

import package_cache
import pytest
import yaml
from kube_score import kube_score
from stand_ins import FOUND, KUBECONFIG

from headrace.components.testing import record

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CHECKOV = "checkov==3.3.30"
NEEDS_THE_API = "a controller's work is to ask the API server, under an account of its own with few rights"
NO_CPU_LIMIT = "a proxy that is throttled delays every endpoint at once; its memory is limited"
CHECKOV_PASSES_OVER = {
    "CKV_K8S_38": NEEDS_THE_API,
    "CKV_K8S_11": NO_CPU_LIMIT,
    "CKV_K8S_35": "models read variables, as their libraries want them: a user says which Secret each comes from",
}
KUBE_SCORE_PASSES_OVER = {
    "container-image-pull-policy": "every image is named by its digest, so a node that has it has the right one",
    "container-resources": NO_CPU_LIMIT,
}
ENDPOINTS = [
    {"name": "plain", "model_uri": "models:/fraud/7"},
    {
        "name": "needs",
        "model_uri": "models:/fraud/7",
        "environment": {"TOKEN": {"secret": "token", "key": "token"}},
        "egress": [{"cidr": "192.0.2.0/24", "ports": [443]}],
        "scale": {"min_replicas": 2},
    },
    {
        "name": "several",
        "versions": [
            {"model_uri": "models:/fraud/7", "weight": 90},
            {"model_uri": "models:/fraud/8", "name": "challenger", "weight": 10},
        ],
    },
]


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of them."""
    return tmp_path_factory.mktemp("manifests")


@pytest.fixture(autouse=True)
def objects(manifests: Path, stand_in_images: None) -> None:
    """Writes what the program registers of a stack that has most of what one may have."""
    if (manifests / "all.yaml").exists():
        return
    kubeconfig = manifests / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(KUBECONFIG))
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    values = {key: entry["default"] for key, entry in project["config"].items()}
    values |= {"kubeconfig": str(kubeconfig), "host": "models.example", "endpoints": ENDPOINTS}
    config = {f"headrace:{key}": each if isinstance(each, str) else json.dumps(each) for key, each in values.items()}
    recording = record(lambda: runpy.run_path(str(ROOT / "__main__.py")), config=config, answers=FOUND)
    kubeconfig.unlink()
    found = [each.inputs for each in recording.resources.values() if each.type.startswith("kubernetes:")]
    (manifests / "all.yaml").write_text(yaml.safe_dump_all(each for each in found if "kind" in each))


def test_checkov_fails_nothing(manifests: Path) -> None:
    python = package_cache.interpreter("checkov", CHECKOV)
    options = ("--framework=kubernetes", "--directory", str(manifests), "--output=json")
    told = json.loads(scanned(str(python.with_name("checkov")), *options))

    failed = {(each["check_id"], each["resource"]) for each in told["results"]["failed_checks"]}
    assert told["summary"]["parsing_errors"] == 0
    assert told["summary"]["passed"] > 500
    assert {each for each in failed if each[0] not in CHECKOV_PASSES_OVER} == set()
    assert {check for check, _ in failed} == set(CHECKOV_PASSES_OVER), "nothing is passed over that does not occur"


@pytest.mark.long  # builds kube-score where the cache has none: two minutes of a core
def test_kube_score_finds_nothing_critical(manifests: Path) -> None:
    told: list[dict[str, Any]] = json.loads(scanned(str(kube_score()), "score", str(manifests / "all.yaml"), "-o=json"))

    critical = {
        (check["check"]["id"], scored["object_name"])
        for scored in told
        for check in scored["checks"]
        if not check["skipped"] and check["grade"] == 1
    }
    assert len(told) > 40
    assert {each for each in critical if each[0] not in KUBE_SCORE_PASSES_OVER} == set()
    assert {check for check, _ in critical} == set(KUBE_SCORE_PASSES_OVER), "nothing is passed over that does not occur"


def scanned(*command: str) -> str:
    """What a scanner prints; its status says that it found something."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env={**os.environ})
    assert done.stdout, done.stderr
    return done.stdout
