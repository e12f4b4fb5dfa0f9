"""`headrace doctor`: looks for what is wrong with a platform, and says what to do."""

from dataclasses import asdict
from typing import Final

from rich.text import Text

from headrace.cli import options

HELP: Final = (
    "Looks for what is wrong: the cluster, your rights, nodes, the platform's programs and address, its certificate, "
    f"clocks, endpoints; and says what to do. {options.STATUSES}"
)


@options.told
def doctor(
    as_json: options.AsJson = False, kubeconfig: options.Kubeconfig = None, context: options.Context = None
) -> int:
    """The command."""
    from headrace.cli.checkup import Verdict, findings  # noqa: PLC0415 -- `headrace --help` waits for no client

    console = options.console()
    found = []
    for finding in findings(options.connected(kubeconfig, context)):
        found.append(finding)
        if not as_json:
            style = {Verdict.WELL: "green", Verdict.DOUBTFUL: "yellow", Verdict.WRONG: "bold red"}[finding.verdict]
            line = Text(f"{finding.verdict:8}", style=style)
            line.append(f"{finding.check:12}{finding.sentence}", style="default")
            line.append(f"; {finding.remedy}" if finding.remedy else "", style="bold default")
            console.print(line)
    if as_json:
        options.print_json([asdict(finding) for finding in found])
    wrong = any(finding.verdict is Verdict.WRONG for finding in found)
    return options.NOT_WELL if wrong else options.WELL
