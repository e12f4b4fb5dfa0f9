"""`headrace open [ENDPOINT]`: opens the console, and says how to log in."""

import sys
import webbrowser
from typing import Annotated, Final

import typer

from headrace.cli import options
from headrace.contract import console, names

HELP: Final = (
    "Opens the platform's console in a browser, or an endpoint's page in it, and says how to log in. "
    "Exit status: 0 it is opened or printed, 2 its address could not be found out."
)
_LOG_IN: Final = (
    f"kubectl create token NAME --audience {names.TOKEN_AUDIENCE}",
    "prints a token of a ServiceAccount, with which you log in",
)


@options.told
def open_console(
    endpoint: options.AnyEndpoint = None,
    only_print: Annotated[bool, typer.Option("--print", help="Print the address, and open nothing.")] = False,
    as_json: options.AsJson = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """The command."""
    cluster = options.connected(kubeconfig, context)
    if endpoint is not None:
        cluster.endpoint(endpoint)
    platform = cluster.platform()
    path = f"{console.ROOT}/" if endpoint is None else console.endpoint_path(endpoint)
    address = f"{platform.url}{path}"
    if as_json:
        options.print_json({"url": address, "log_in": _LOG_IN[0]})
        return options.WELL
    if only_print or not webbrowser.open(address):
        print(address, flush=True)
    print(f"`{_LOG_IN[0]}` {_LOG_IN[1]}.", file=sys.stderr)
    if platform.ca_certificate:
        place = f"{names.CA_KEY} of the ConfigMap {names.SYSTEM_NAMESPACE}/{names.PLATFORM_CONFIG_MAP}"
        print(f"Browsers do not know who signed its certificate: the authority is {place}.", file=sys.stderr)
    return options.WELL
