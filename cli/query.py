"""`headrace query ENDPOINT`: sends a request to an endpoint and prints the answer."""

# ruff: noqa: PLC0415 -- `headrace --help` waits for no HTTP client.

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from headrace.cli import options
from headrace.cli.caller import Caller, caller
from headrace.contract import names, telemetry
from headrace.contract.errors import InputError, TemporaryError

if TYPE_CHECKING:
    import requests

HELP: Final = (
    "Sends a request to an endpoint and prints the answer as it comes. "
    "Exit status: 0 the endpoint answers, 1 it refuses or fails, 2 it could not be asked."
)
_COMMAND: Final = "headrace query"


@options.told
def query(  # noqa: PLR0917 -- arguments of a command line
    endpoint: options.Endpoint,
    data: Annotated[
        str, typer.Option("--data", "-d", metavar="JSON", help="Body; @FILE reads a file, @- standard input.")
    ],
    path: Annotated[str, typer.Option(help="Path below the endpoint, for example v2/models/NAME/infer.")] = "",
    token: options.Token = "",
    service_account: options.ServiceAccount = "",
    url: options.Url = "",
    ca_file: options.CaFile = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """The command."""
    body = _body(data)
    place = path.lstrip("/") if path else names.invocations_path(endpoint).lstrip("/")
    with caller(
        _COMMAND,
        token=token,
        service_account=service_account,
        url=url,
        ca_file=ca_file,
        kubeconfig=kubeconfig,
        context=context,
    ) as who:
        return _ask(f"{who.url}/{place}", body, who)


def _body(data: str) -> bytes:
    if not data.startswith("@"):
        return data.encode()
    if data == "@-":
        return sys.stdin.buffer.read()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise InputError(
            _COMMAND, [f"--data = {data!r}, must name a file that can be read: {error.strerror}"]
        ) from error


def _ask(address: str, body: bytes, who: Caller) -> int:
    import requests

    begun = time.monotonic()
    try:
        with requests.post(
            address,
            data=body,
            headers={**who.headers, "content-type": "application/json", telemetry.FORCE_HEADER: _COMMAND},
            verify=who.verify,
            timeout=(5, names.DEFAULT_TIMEOUT_SECONDS + 5),
            stream=True,
            allow_redirects=False,
        ) as response:
            for piece in response.iter_content(None):
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
    except requests.RequestException as error:
        raise TemporaryError(f"{address} does not answer: {error}") from error
    if sys.stdout.isatty():
        print()
    print(_told(response, time.monotonic() - begun), file=sys.stderr)
    return options.WELL if response.ok else options.NOT_WELL


def _told(response: "requests.Response", seconds: float) -> str:
    version = response.headers.get(names.SERVED_MODEL_HEADER)
    parts = [f"{response.status_code} {response.reason}", f"{seconds * 1000:.0f} ms"]
    parts += [f"version {version}"] if version else []
    parts += (
        [f"request {response.headers[names.REQUEST_ID_HEADER]}"] if names.REQUEST_ID_HEADER in response.headers else []
    )
    return ", ".join(parts)
