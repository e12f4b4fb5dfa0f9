"""`headrace`, or `python -m headrace.cli`: reads the command line and runs one command."""

import typer

from headrace.cli import try_model

app = typer.Typer(
    help="Headrace serves any MLflow model on Kubernetes.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("try", help=try_model.HELP)(try_model.try_model)


@app.callback()
def _headrace() -> None:
    """Keeps `try` a command of its own while it is the only one."""


def main() -> None:
    """Exits with the command's status: 2 for arguments that cannot be used."""
    app(prog_name="headrace")


if __name__ == "__main__":
    main()
