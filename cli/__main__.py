"""`headrace`, or `python -m headrace.cli`: reads the command line and runs one command."""

import typer

from headrace.cli import (
    convert,
    doctor,
    drift_findings,
    endpoint_status,
    image,
    init,
    keygen,
    logs,
    mcp,
    open_console,
    plot,
    promote,
    query,
    request_labels,
    rollback,
    rollout,
    sdk,
    table,
    try_model,
    up,
    why,
)

app = typer.Typer(
    help="Headrace serves any MLflow model on Kubernetes.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("init", help=init.HELP)(init.init)
app.command("up", help=up.HELP)(up.up)
app.command("try", help=try_model.HELP)(try_model.try_model)
app.command("status", help=endpoint_status.HELP)(endpoint_status.status)
app.command("why", help=why.HELP)(why.why)
app.command("plot", help=plot.HELP)(plot.plot)
app.command("open", help=open_console.HELP)(open_console.open_console)
app.command("query", help=query.HELP)(query.query)
app.command("logs", help=logs.HELP)(logs.logs)
app.command("doctor", help=doctor.HELP)(doctor.doctor)
app.command("rollout", help=rollout.HELP)(rollout.rollout)
app.command("promote", help=promote.HELP)(promote.promote)
app.command("rollback", help=rollback.HELP)(rollback.rollback)
app.command("keygen", help=keygen.HELP)(keygen.keygen)
app.command("table", help=table.HELP)(table.table)
app.command("labels", help=request_labels.HELP)(request_labels.labels)
app.command("drift", help=drift_findings.HELP)(drift_findings.drift)
app.command("mcp", help=mcp.HELP)(mcp.mcp)
app.command("convert", help=convert.HELP)(convert.convert)
app.command("sdk", help=sdk.HELP)(sdk.sdk)
app.add_typer(image.app, name="image")


def main() -> None:
    """Exits with the command's status: 2 for arguments that cannot be used."""
    app(prog_name="headrace")


if __name__ == "__main__":
    main()
