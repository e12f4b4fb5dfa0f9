"""`headrace logs ENDPOINT`: the lines of an endpoint by time, from its pods, the platform's, and the table of logs."""

# ruff: noqa: PLC0415 -- `headrace --help` waits for no store.

import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Annotated, Final

import typer

from headrace.cli import log_pods, log_table, options
from headrace.cli.log_lines import COMPONENTS, LogLine
from headrace.cli.table import storage_options
from headrace.contract.errors import InputError, PermanentError

HELP: Final = (
    "Prints what an endpoint's pods wrote, the model's own output included, and what proxies and controllers wrote "
    "about the endpoint, by time. What pods no longer hold comes from the table of logs, where there is one. "
    "Exit status: 0 lines were printed, 1 there are none, 2 they could not be read."
)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_COMMAND: Final = "headrace logs"


@options.told
def logs(  # noqa: PLR0917 -- arguments of a command line
    endpoint: options.Endpoint,
    since: Annotated[str, typer.Option(metavar="TIME", help="How far back: 90s, 5m, 2h or 1d.")] = "1h",
    request: Annotated[str, typer.Option(metavar="ID", help="Only lines of this request, or of this trace.")] = "",
    version: Annotated[str, typer.Option(metavar="VERSION", help="Only lines of this version.")] = "",
    component: Annotated[
        str, typer.Option(metavar="NAME", help=f"Only lines of one of these: {', '.join(COMPONENTS)}.")
    ] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with lines as they come.")] = False,
    tail: Annotated[int, typer.Option(metavar="N", min=0, help="Only the last N lines; 0: all.")] = 0,
    from_table: Annotated[bool, typer.Option("--from-table", help="Read the table of logs, and no pods.")] = False,
    uri: Annotated[
        str, typer.Option(help="The table of logs, or the folder it is in; else as the demo's volume has it.")
    ] = "",
    option: Annotated[
        list[str] | None, typer.Option(help="A storage option, NAME=VALUE, for example AWS_REGION=eu-west-1.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """The command."""
    seconds = seconds_of(since)
    checked(component, from_table=from_table, follow=follow)

    def wanted(lines: Iterable[LogLine]) -> Iterator[LogLine]:
        for line in lines:
            if line.is_of(component) and line.is_of_version(version) and (not request or line.belongs_to(request)):
                yield line

    def tabled(*, required: bool) -> Iterator[LogLine]:
        return wanted(_of_table(endpoint, uri, seconds, option or [], required=required))

    if from_table:
        return _printed(_last(tabled(required=True), tail), as_json=as_json)
    cluster = options.connected(kubeconfig, context)
    name = cluster.endpoint(endpoint)["metadata"]["name"]
    found = log_pods.reads(
        cluster, name, version=version, component=component, seconds=seconds,
        tail=0 if request or component else tail, follow=follow,
    )  # fmt: skip
    if follow:
        return _printed(wanted(log_pods.as_they_come(found)), as_json=as_json)
    status = _printed(_last(wanted(log_pods.merged(found)), tail), as_json=as_json)
    if status == options.WELL:
        return status
    return _printed(_last(tabled(required=bool(uri)), tail), as_json=as_json)


def seconds_of(text: str) -> int:
    """Seconds of a time such as 90s, 5m, 2h or 1d; raises InputError."""
    matched = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if matched is None or int(matched[1]) == 0:
        raise InputError(_COMMAND, [f"--since = {text!r}, must be a number above 0 and a unit, such as 5m"])
    return int(matched[1]) * _UNITS[matched[2]]


def checked(component: str, *, from_table: bool, follow: bool) -> None:
    """Raises InputError for options that cannot be used, all of them at once."""
    faults = []
    if component and component not in COMPONENTS:
        faults.append(f"--component = {component!r}, must be one of {', '.join(COMPONENTS)}")
    if from_table and follow:
        faults.append("--follow and --from-table, must be one of the two: a table has no lines that are yet to come")
    if faults:
        raise InputError(_COMMAND, faults)


def _of_table(endpoint: str, uri: str, seconds: int, given: list[str], *, required: bool) -> list[LogLine]:
    """Raises PermanentError where there is none and it is `required`."""
    from headrace.local import cluster_layout

    place = log_table.place(uri, cluster_layout.folders().tables)
    if not place:
        if not required:
            return []
        raise PermanentError(
            f"--uri = {uri!r}, must be the table of logs or the folder it is in, for example s3://lake/telemetry"
        )
    lines = log_table.read(place, endpoint, seconds=seconds, options=storage_options(given))
    if lines and not required:
        print(f"no pod holds such lines any more; these are of the table {place}", file=sys.stderr)
    return lines


def _last(lines: Iterable[LogLine], tail: int) -> Iterable[LogLine]:
    return deque(lines, maxlen=tail) if tail else lines


def _printed(lines: Iterable[LogLine], *, as_json: bool) -> int:
    console, status = options.console(), options.NOT_WELL
    for line in lines:
        status = options.WELL
        if as_json:
            options.print_json_line(line.document())
        else:
            console.print(line.shown())
    return status
