"""Clients of boto3 that talk to this machine only, with credentials that mean nothing."""

import ipaddress
import json
import os
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ADDRESS_VARIABLE: Final = "HEADRACE_STAND_IN_AWS"
"""Environment variable with the address of the server."""
FAULTS_VARIABLE: Final = "HEADRACE_STAND_IN_AWS_FAULTS"
"""Environment variable with the path of a JSON object: the code of the error that an operation answers, by name."""
REGION_VARIABLE: Final = "AWS_REGION"


class NotLoopback(Exception):
    """Whoever set the address would have asked the internet."""


def address() -> str:
    """The server's address. Raises NotLoopback for any that leads elsewhere."""
    given = os.environ.get(ADDRESS_VARIABLE, "")
    host = urlsplit(given).hostname or ""
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name may resolve to anything
        is_loopback = False
    if not is_loopback:
        raise NotLoopback(f"{ADDRESS_VARIABLE} = {given!r}, must be an address of the loopback such as 127.0.0.1")
    return given


def region() -> str:
    """The region of the stack."""
    return os.environ.get(REGION_VARIABLE, "eu-west-1")


@cache
def client(service: str) -> Any:
    """The client of one service of AWS."""
    made = boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=address(),
        region_name=region(),
        aws_access_key_id="stand-in",
        aws_secret_access_key="stand-in",
        config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    made.meta.events.register("before-call", _fail_if_told)
    return made


def _fail_if_told(model: Any, **_: Any) -> None:
    path = os.environ.get(FAULTS_VARIABLE, "")
    faults = json.loads(Path(path).read_text()) if path else {}
    if code := faults.get(model.name, faults.get("*")):
        raise ClientError({"Error": {"Code": code, "Message": "as the test asked for"}}, model.name)
