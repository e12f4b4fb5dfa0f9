"""`headrace try MODEL_URI`: proves a model on this machine as its pod would, and says what would be deployed."""

# ruff: noqa: PLC0415 -- `headrace --help` waits for no resolver.

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from headrace.cli.progress import Progress
from headrace.contract.errors import HeadraceError

if TYPE_CHECKING:
    from headrace.cli.trial_report import TrialReport

HELP: Final = (
    "Proves a model on this machine, without a cluster: in its own environment, behind the real server, over every "
    "protocol. Exit status: 0 it is proven, 1 it is not, which is the model's fault, 2 it could not be tried."
)
PROVEN, NOT_PROVEN, NOT_TRIED = 0, 1, 2


def try_model(  # noqa: PLR0917 -- arguments of a command line
    model_uri: Annotated[
        str,
        typer.Argument(
            metavar="MODEL_URI", help="models:/NAME/VERSION, models:/NAME@ALIAS, runs:/RUN_ID/PATH, or a directory."
        ),
    ],
    input_file: Annotated[
        Path | None,
        typer.Option("--input", help="A JSON request in place of the input example that the model was logged with."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Serve on loopback until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve at; 0 takes a free one.")] = 0,
    tracking_uri: Annotated[
        str, typer.Option(help="MLflow tracking server that knows the model; else MLFLOW_TRACKING_URI.")
    ] = "",
) -> None:
    """The command."""
    from headrace.cli.candidate import Candidate, ModelFault
    from headrace.cli.trial import Trial
    from headrace.cli.trial_report import TrialReport, requests_of

    _end_in_order()
    progress = Progress(Console(stderr=True, highlight=False))
    report = TrialReport(model_uri)
    status = NOT_TRIED
    try:
        with progress.step("finding the model"):
            report.candidate = candidate = Candidate.resolved(model_uri, tracking_uri, input_file)
        with progress.step("making the model's environment"):
            environment = candidate.environment()
        report.environment_bytes, report.note = environment.size_bytes, environment.note
        with candidate.files() as directory, Trial(candidate, directory, environment.python, port=port) as trial:
            with progress.step("starting the model"):
                trial.wait_until_ready()
            report.proof = trial.proof()
            report.requests = requests_of(directory, trial.inference_request(), given=input_file)
            with progress.step("measuring a call"):
                report.call = trial.cost(directory, report.proof)
            status = PROVEN if report.proof.holds else NOT_PROVEN
            report.reason = "" if report.proof.holds else f"Version {report.proof.version} {report.proof.sentence()}"
            _show(report, as_json=as_json)
            if serve:
                progress.note(f"Serving until Ctrl-C: URL={trial.url} ENDPOINT={trial.endpoint}")
                trial.serve()
    except ModelFault as error:
        status, report.reason = NOT_PROVEN, str(error)
        _show(report, as_json=as_json)
    except HeadraceError as error:
        report.reason = str(error)
        if as_json:
            _show(report, as_json=True)
        progress.note(str(error))
    except KeyboardInterrupt:
        progress.note("interrupted")
    raise typer.Exit(status)


def _end_in_order() -> None:
    """Ends what was started whoever ends this: by Ctrl-C, also where a shell has a job of the background ignore that,
    and by SIGTERM, as supervisors do."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _show(report: "TrialReport", *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report.document(), indent=2))
    else:
        report.write(Console(highlight=False, soft_wrap=True))
    if report.reason:
        print(report.reason, file=sys.stderr)
    sys.stdout.flush()
