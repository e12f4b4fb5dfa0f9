"""What came of a trial: for people, and as one JSON document."""

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from headrace.cli.candidate import Candidate, example_path
from headrace.cli.trial import CallCost
from headrace.contract.codec import encode
from headrace.contract.evidence import Proof

_LONGEST: Final = 2000
"""Characters of a request that is shown whole; of a longer one its file is named."""
_MIB: Final = 1024 * 1024


@dataclass
class TrialReport:
    """Filled as the trial goes on."""

    model_uri: str
    candidate: Candidate | None = None
    environment_bytes: int | None = None
    note: str = ""
    """What was not as in the pod; empty where nothing was."""
    proof: Proof | None = None
    call: CallCost | None = None
    requests: dict[str, str] = field(default_factory=dict)
    """Commands by protocol; `$URL` and `$ENDPOINT` are an endpoint's address and name, or those of `--serve`."""
    reason: str = ""
    """Why the model is not proven; empty where it is."""

    @property
    def proven(self) -> bool:
        """Whether nothing speaks against it."""
        return self.proof is not None and not self.reason

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "model_uri": self.model_uri,
            "proven": self.proven,
            "reason": self.reason,
            "note": self.note,
            "would_deploy": None if self.candidate is None else self._deployed(self.candidate),
            "proof": None if self.proof is None else encode(self.proof),
            "call": None if self.call is None else encode(self.call),
            "requests": self.requests,
        }

    def _deployed(self, candidate: Candidate) -> dict[str, Any]:
        source, choice, allotment = candidate.source, candidate.choice, candidate.allotment
        return {
            "version": source.version_name,
            "python": source.python_version,
            "runtime": choice.runtime.value,
            "reasons": list(choice.reasons),
            "cpu": allotment.cpu_limit,
            "memory_mib": allotment.memory_mib,
            "memory_reason": allotment.memory_reason,
            "layers": self._layers(candidate),
        }

    def _layers(self, candidate: Candidate) -> list[dict[str, Any]]:
        """From the bottom; a size that is not known here is null."""
        environment = None if self.environment_bytes is None else round(self.environment_bytes / _MIB, 1)
        return [
            {"name": "base and front", "mib": None, "shared_by": "every model"},
            {"name": "environment", "mib": environment, "shared_by": "models with the same requirements"},
            {"name": "model", "mib": round(candidate.source.size_bytes / _MIB, 2), "shared_by": ""},
        ]

    def write(self, console: Console) -> None:
        """For people."""
        if self.candidate is not None:
            told = self._deployed(self.candidate)
            _line(console, "runtime", f"{told['runtime']}: {'; '.join(told['reasons'])}")
            for layer in told["layers"]:
                size = "size as built" if layer["mib"] is None else f"about {layer['mib']:,} MiB"
                shared = f", shared by {layer['shared_by']}" if layer["shared_by"] else ""
                _line(console, "layer", f"{layer['name']}, {size}{shared}")
            _line(console, "pod", f"{told['cpu']:g} core, {told['memory_reason']}")
        if self.note:
            _line(console, "note", self.note)
        if self.call is not None:
            call = self.call
            cost = f"{call.milliseconds:.1f} ms, {call.cpu_milliseconds:.1f} ms of CPU, {call.memory_mib:.0f} MiB held"
            _line(console, "call", f"{cost} ({call.calls} measured)")
        for protocol, command in self.requests.items():
            _line(console, protocol, command)
        if self.proof is not None and self.proven:
            console.print("[bold green]proven         [/bold green]", end="")
            console.print(self.proof.sentence(), markup=False)
        elif self.reason:
            console.print("[bold red]not proven[/bold red]")


def requests_of(directory: Path, inference_request: str | None, *, given: Path | None) -> dict[str, str]:
    """The requests of the proof in curl's form; `given`: the file that stands in for the model's example."""
    path = example_path(directory)
    found = {}
    if path is not None:
        text = json.dumps(json.loads(path.read_text("utf-8")))
        body = f"@{path if given is None else given}" if len(text) > _LONGEST else text
        found["invocations"] = _curl("$URL/invocations", body)
    if inference_request is not None and len(inference_request) <= _LONGEST:
        found["open-inference"] = _curl("$URL/v2/models/$ENDPOINT/infer", inference_request)
    return found


def _curl(address: str, body: str) -> str:
    return f"curl -s \"{address}\" -H 'content-type: application/json' -d {shlex.quote(body)}"


def _line(console: Console, name: str, text: str) -> None:
    console.print(f"[bold]{name:15}[/bold]", end="")
    console.print(text, markup=False)
