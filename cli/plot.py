"""`headrace plot ENDPOINT`: a picture of what the autoscaler ordered, and of the load."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from headrace.cli import options, scaling_history, scaling_picture
from headrace.cli.caller import caller
from headrace.contract import names
from headrace.contract.errors import HeadraceError

HELP: Final = (
    "Draws what the autoscaler ordered for an endpoint, and for a caller with a token also the load of the last ten "
    "minutes, as the console has it. Exit status: 0 it is drawn, 1 there is nothing to draw, 2 it cannot be."
)
_COMMAND: Final = "headrace plot"


@options.told
def plot(  # noqa: PLR0917 -- arguments of a command line
    endpoint: options.Endpoint,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Picture of the kind that its name ends in; else ENDPOINT.svg.")
    ] = None,
    hours: Annotated[
        float | None, typer.Option(min=0.01, max=87_600, help="How far back; else as far as it is remembered.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON, and draw nothing.")] = False,
    token: options.Token = "",
    service_account: options.ServiceAccount = "",
    url: options.Url = "",
    ca_file: options.CaFile = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """The command."""
    now = datetime.now(UTC)
    since = None if hours is None else now - timedelta(hours=hours)
    cluster = options.connected(kubeconfig, context)
    cluster.endpoint(endpoint)
    found = scaling_history.orders(cluster.autoscalers(names.endpoint_namespace(endpoint)), since)
    load = None
    if token or service_account:
        try:
            with caller(
                _COMMAND,
                token=token,
                service_account=service_account,
                url=url,
                ca_file=ca_file,
                kubeconfig=kubeconfig,
                context=context,
            ) as who:
                load = scaling_history.load(endpoint, who)
        except HeadraceError as error:
            print(f"The load is left out: {error}", file=sys.stderr)
    if as_json:
        told = None if load is None else load.document()
        options.print_json({"endpoint": endpoint, "orders": [order.document() for order in found], "load": told})
    elif found or load is not None:
        picture = Path(f"{endpoint}.svg") if out is None else out
        scaling_picture.draw(picture, endpoint, found, load, since=since, now=now)
        print(picture)
    else:
        print(f"The autoscaler has ordered nothing for {endpoint} that is remembered.", file=sys.stderr)
    return options.WELL if found or load is not None else options.NOT_WELL
