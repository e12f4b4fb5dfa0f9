"""A model whose weights are no layer: links and a list of checksums, from one reading of the store."""

import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import tracking_stand_in
from tracking_stand_in import TrackingStandIn

from headrace.contract.errors import PermanentError
from headrace.contract.weights import PART_BYTES, WeightsFile, WeightsManifest, hashed
from headrace.images import mlflow_client, tracking_server
from headrace.images.model import directory_listing, model_identity, model_layer
from headrace.images.request import ModelInput
from headrace.images.store import Store
from headrace.images.tracking import ArtifactStore
from headrace.images.weights import read_once

LARGE = os.urandom(200_000)
LOCATION = "mlflow-artifacts:/0/models/fraud/artifacts"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TrackingStandIn]:
    monkeypatch.setitem(tracking_stand_in.FILES, "data/weights.bin", LARGE)
    monkeypatch.setitem(tracking_stand_in.FILES, "weights copy.bin", LARGE)
    with tracking_stand_in.running() as stand_in:
        yield stand_in


def model(server: TrackingStandIn, tmp_path: Path, **changed: str) -> ModelInput:
    artifacts = tracking_server.artifact_store(LOCATION, server.uri)
    folder = tmp_path / "small"
    folder.mkdir(exist_ok=True)
    artifacts.fetch("MLmodel", folder)
    known = {path: digest for path, _, digest in directory_listing(folder, hashed=False)}
    identity = model_identity([(path, size, known.get(path, "")) for path, size in artifacts.files()])
    given = {"source": LOCATION, "tracking_uri": server.uri, "identity": identity, **changed}
    return ModelInput(**given, python="3.11.7", requirements=(), streamed_bytes=100_000)


def test_the_layer_has_links_and_checksums_in_the_place_of_weights(
    server: TrackingStandIn, store: Store, tmp_path: Path, log: Path
) -> None:
    blob, _ = model_layer(store, model(server, tmp_path), log=log)

    with tarfile.open(store.path(blob.digest)) as tar:
        members = {member.name: member for member in tar}
        listed = tar.extractfile("opt/model/weights.json")
        assert listed is not None
        manifest = WeightsManifest.from_json(json.load(listed))
    assert blob.size < 100_000
    assert {file.path for file in manifest.files} == {"data/weights.bin", "weights copy.bin"}
    digest = hashed("w", [LARGE]).digest
    for path in ("data/weights.bin", "weights copy.bin"):
        link = members[f"opt/model/model/{path}"]
        assert (link.issym(), link.linkname) == (True, f"/opt/model/weights/{digest}")
    assert manifest.size == len(LARGE)  # once, though the model has it twice
    assert members["opt/model/model/MLmodel"].isfile()
    assert members["opt/model/weights"].isdir()


def test_what_was_read_of_whole_files_counts_when_the_rest_breaks_off(
    server: TrackingStandIn, store: Store, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = model(server, tmp_path)
    with monkeypatch.context() as torn:
        torn.setitem(tracking_stand_in.FILES, "weights copy.bin", LARGE + b"more")
        artifacts = tracking_server.artifact_store(LOCATION, server.uri)
        files = [("data/weights.bin", len(LARGE)), ("weights copy.bin", len(LARGE))]
        with pytest.raises(PermanentError, match=r"weights copy.bin has 200004 bytes, was listed with 200000"):
            read_once(store, artifacts, files, model=given.identity, source=given.source)

    model_layer(store, given, log=log)
    model_layer(store, given, log=log)

    assert server.count("download 0/models/fraud/artifacts/data/weights.bin") == 1
    assert server.count("download 0/models/fraud/artifacts/weights copy.bin") == 2


def test_weights_that_change_while_they_are_listed_are_refused(
    server: TrackingStandIn, store: Store, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = model(server, tmp_path)
    monkeypatch.setitem(tracking_stand_in.FILES, "data/weights.bin", LARGE + b"more")

    with pytest.raises(PermanentError, match="changed while it was read"):
        model_layer(store, given, log=log)


@pytest.mark.parametrize("client", [False, True])
def test_a_store_reads_a_file_in_pieces(server: TrackingStandIn, client: bool) -> None:
    store: ArtifactStore = tracking_server.artifact_store(LOCATION, server.uri)
    if client:
        store = mlflow_client.ClientArtifacts(LOCATION, server.uri)

    assert b"".join(store.read("data/weights.bin")) == LARGE


def test_a_files_digest_is_that_of_its_parts_however_it_was_read() -> None:
    content = bytes(PART_BYTES) + b"end"

    found = hashed("w", [content])

    assert found == hashed("w", [content[:7], content[7:], b""])
    assert [found.part_size(number) for number in range(len(found.parts))] == [PART_BYTES, 3]
    assert hashed("w", []) == WeightsFile(path="w", size=0, parts=())
