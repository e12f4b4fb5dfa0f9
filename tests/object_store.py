"""An S3 store: moto's server, a stand-in, which refuses a conditional put where there is an object."""

import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple

from patience import eventually, free_port


class ObjectStore(NamedTuple):
    """It runs."""

    process: "subprocess.Popen[bytes]"
    address: str
    options: Mapping[str, str]
    """deltalake's."""
    folder: str = "s3://lake"


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Starts one with a bucket, and ends it after the block."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def listens() -> bool:
        with suppress(OSError):
            made = urllib.request.Request(f"{address}/lake", method="PUT")
            return bool(urllib.request.urlopen(made, timeout=5).status == 200)
        return False

    try:
        eventually(listens, seconds=60)
        options = {
            "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": address, "AWS_ALLOW_HTTP": "true",
        }  # fmt: skip
        yield ObjectStore(process, address, options)
    finally:
        process.kill()
        process.wait(20)
