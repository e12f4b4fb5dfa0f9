"""Stores that speak S3: moto's server, a stand-in, and SeaweedFS, which is one, in `make test-long`.

Both refuse a conditional put where there is an object; SeaweedFS also refuses who shows no key of its.
"""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pytest
from patience import eventually, free_port

from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder
from headrace.local.toolchain.programs import SEAWEEDFS

KINDS: Final[list[Any]] = ["moto", pytest.param("seaweedfs", marks=pytest.mark.long)]
"""Parameters of a fixture that starts one."""
KEYS: Final[Mapping[str, str]] = {
    "AWS_ACCESS_KEY_ID": "me",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""The environment of a client that may write, but the address."""


class ObjectStore(NamedTuple):
    """It runs."""

    kind: str
    process: "subprocess.Popen[bytes]"
    address: str
    folder: str
    """URI of its bucket."""

    @property
    def environment(self) -> dict[str, str]:
        """Of a client of AWS' libraries."""
        return {**KEYS, "AWS_ENDPOINT_URL": self.address}

    @property
    def options(self) -> dict[str, str]:
        """deltalake's."""
        return {
            "AWS_ACCESS_KEY_ID": KEYS["AWS_ACCESS_KEY_ID"], "AWS_SECRET_ACCESS_KEY": KEYS["AWS_SECRET_ACCESS_KEY"],
            "AWS_REGION": KEYS["AWS_DEFAULT_REGION"], "AWS_ENDPOINT_URL": self.address, "AWS_ALLOW_HTTP": "true",
        }  # fmt: skip


@contextmanager
def object_store(
    kind: str = "moto", *, bucket: str = "lake", objects: Mapping[str, bytes] = MappingProxyType({})
) -> Iterator[ObjectStore]:
    """Starts one of KINDS with a bucket that holds the objects, by key, and ends it after the block."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with TemporaryDirectory(prefix="headrace-store-") as folder:
        command = _moto(port) if kind == "moto" else _seaweedfs(Path(folder), port)
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: _answers(address), f"{kind} answers", seconds=60, every_seconds=0.1)
            store = ObjectStore(kind, process, address, f"s3://{bucket}")
            eventually(lambda: _filled(store, bucket, objects), "the bucket is filled", seconds=60, every_seconds=0.2)
            yield store
        finally:
            process.kill()
            process.wait(20)


def _moto(port: int) -> list[str]:
    return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]


def _seaweedfs(folder: Path, port: int) -> list[str]:
    credentials = [{"accessKey": KEYS["AWS_ACCESS_KEY_ID"], "secretKey": KEYS["AWS_SECRET_ACCESS_KEY"]}]
    actions = ["Admin", "Read", "List", "Tagging", "Write"]
    identities = {"identities": [{"name": "me", "credentials": credentials, "actions": actions}]}
    (folder / "s3.json").write_text(json.dumps(identities))
    (folder / "data").mkdir()
    own = ("master.port", "volume.port", "filer.port")
    ports = {name: free_port() for name in (*own, *(f"{name}.grpc" for name in own), "s3.port.grpc")}
    weed = builder.ensure(SEAWEEDFS, Progress("tests", steps=1)) / "weed"
    return [
        str(weed), "server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-dir={folder / 'data'}", f"-s3.port={port}", f"-s3.config={folder / 's3.json'}", "-volume.max=20",
        "-master.volumeSizeLimitMB=64",
        *(f"-{name}={number}" for name, number in ports.items()),
    ]  # fmt: skip


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except urllib.error.HTTPError:  # who shows no key is refused
        return True
    except OSError:
        return False


def _filled(store: ObjectStore, bucket: str, objects: Mapping[str, bytes]) -> bool:
    """Whether the bucket is there, with the objects; a store that has just begun may refuse."""
    import boto3  # noqa: PLC0415 -- a second of imports, for tests that start a store
    from botocore.exceptions import ClientError  # noqa: PLC0415

    client = boto3.client(
        "s3", endpoint_url=store.address, region_name=KEYS["AWS_DEFAULT_REGION"],
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"], aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    try:
        if bucket not in [known["Name"] for known in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=bucket)
        for key, content in objects.items():
            client.put_object(Bucket=bucket, Key=key, Body=content)
    except ClientError:
        return False
    return True
