"""A new version, and back: traffic moves only to a version that answers, and nobody is turned away meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from live_platform import Platform, eventually

from headrace.local import cluster_layout, demo_model, tracking_server
from headrace.local.demo_model import RegisteredModel

NAMESPACE = "endpoint-breast-cancer"


@pytest.fixture(scope="module")
def newer(platform: Platform) -> Iterator[RegisteredModel]:
    """A newer version of the demo's model; the demo's own version serves again afterwards."""
    yield demo_model.register_next(tracking_server.uri())
    platform.stack.up(platform.settings([platform.endpoint]))


@contextmanager
def light_load(platform: Platform) -> Iterator[list[tuple[int, str]]]:
    """Asks every 50 ms without retrying; yields the list of (status, version) that grows meanwhile."""
    answers: list[tuple[int, str]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.05):
            try:
                answer = platform.ask(platform.model.request)
                answers.append((answer.status, answer.headers.get("served-model-name", "")))
            except OSError as error:
                answers.append((0, str(error)))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()


def test_a_new_version_takes_over_and_the_old_one_comes_back_without_a_failed_request(
    platform: Platform, newer: RegisteredModel
) -> None:
    version = f"v{newer.model_uri.rpartition('/')[2]}"
    endpoint = {**platform.endpoint, "model_uri": newer.model_uri}
    with light_load(platform) as answers:
        platform.stack.up(platform.settings([endpoint]))
        eventually(lambda: answers[-1][1] == version)
        assert platform.kubectl("-n", NAMESPACE, "get", "deployments", "-o", "name") == f"deployment.apps/{version}\n"
        platform.stack.up(platform.settings([platform.endpoint]))
        eventually(lambda: answers[-1][1] == "v1")

    assert {status for status, _ in answers} == {200}
    assert len(answers) > 20
    order = [served for index, (_, served) in enumerate(answers) if index == 0 or served != answers[index - 1][1]]
    assert order == ["v1", version, "v1"], "the share of the new version grows, and falls, once"


def test_a_new_version_with_the_same_environment_adds_only_its_own_bytes(
    platform: Platform, newer: RegisteredModel, tmp_path: Path
) -> None:
    if not platform.cluster.embedded:
        pytest.skip("only the embedded cluster's content store can be read")
    import mlflow  # noqa: PLC0415 - takes seconds to import

    newest = demo_model.register_next(tracking_server.uri())
    mlflow.set_tracking_uri(tracking_server.uri())
    model = Path(mlflow.artifacts.download_artifacts(newest.model_uri, dst_path=str(tmp_path)))
    model_bytes = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
    blobs = cluster_layout.folders().containerd / "root/io.containerd.content.v1.content/blobs/sha256"
    before = {blob.name for blob in blobs.iterdir()}

    platform.stack.up(platform.settings([{**platform.endpoint, "model_uri": newest.model_uri}]))

    added = sum(blob.stat().st_size for blob in blobs.iterdir() if blob.name not in before)
    assert 0 < added <= model_bytes + 64 * 1024
