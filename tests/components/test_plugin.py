"""The plugin as the engine starts it: a process that answers over gRPC."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture
def provider() -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    """The running plugin; the address it is given is the engine's, which it calls only to log."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "plugin"), "127.0.0.1:1"], stdout=subprocess.PIPE, text=True, cwd=ROOT / "plugin"
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    process.terminate()
    process.wait()
    process.stdout.close()


def test_the_plugin_serves_the_released_schema(provider: provider_pb2_grpc.ResourceProviderStub) -> None:
    answer = provider.GetSchema(provider_pb2.GetSchemaRequest(), timeout=30)

    assert json.loads(answer.schema) == json.loads((ROOT / "components" / "schema.json").read_text())
