"""Evidence: what a pod finds out about its model before the first request, as its admin port tells it."""

from dataclasses import dataclass
from typing import Annotated, Final

from headrace.contract.conditions import Time
from headrace.contract.declaration import Bounds, NotEmpty

PROOF_PATH: Final = "/proof"
"""On the admin port of a model pod: the Proof as JSON; 503 while there is none yet."""
INFERENCE_REQUEST_PATH: Final = "/proof/request"
"""Beside it: the Open Inference request that the input example was made into; 404 where it was made into none."""

Amount = Annotated[float, Bounds(minimum=0)]


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What one pod of a version found out before it took requests."""

    version: str
    """Name of the version."""
    image: str
    """Image of the pod, pinned by digest; empty where it was told none."""
    time: Time
    """When."""
    load_seconds: Amount
    """Seconds from the start of the first worker, or of the engine, until it could answer."""
    memory_mib: Amount
    """MiB that the pod's processes held then."""
    has_example: bool
    """Whether the model has an input example that could be asked. It answered that, or the pod would not be ready."""
    call_milliseconds: Amount | None = None
    """Milliseconds of the prediction of the example: the model's first, which may be slower than later ones."""
    call_cpu_milliseconds: Amount | None = None
    """CPU time of it, in milliseconds."""
    call_memory_mib: Amount | None = None
    """MiB that it took at its highest, beyond what the worker held before. Absent: the kernel does not tell."""
    protocols: tuple[NotEmpty, ...] = ()
    """Protocols that were asked for the example and whose answers were compared with the prediction."""
    not_asked: str = ""
    """Why the others were not; empty where all were."""
    differences: tuple[NotEmpty, ...] = ()
    """What a protocol answered otherwise; empty where all agree."""

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against the version."""
        return not self.differences

    def sentence(self) -> str:
        """All of it, for people."""
        if self.differences:
            answered = f"answers its input example differently: {'; '.join(self.differences)}"
        elif self.has_example and not self.protocols:
            answered = "answers its input example"
        elif self.has_example:
            answered = f"answers its input example alike over {_listed(self.protocols)}"
        else:
            answered = "loads; no prediction was tried"
        if self.not_asked:
            answered += f" ({self.not_asked})"
        return f"{answered}. Loaded in {self.load_seconds:.1f} s, {self.memory_mib:.0f} MiB{self._call()}."

    def _call(self) -> str:
        if self.call_milliseconds is None:
            return ""
        parts = [] if self.call_cpu_milliseconds is None else [f"{self.call_cpu_milliseconds:.1f} ms of CPU"]
        parts += [] if self.call_memory_mib is None else [f"{self.call_memory_mib:.1f} MiB"]
        return f"; first call {self.call_milliseconds:.1f} ms" + (f" ({', '.join(parts)})" if parts else "")


def _listed(words: tuple[str, ...]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
