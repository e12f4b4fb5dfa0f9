"""Gates: what speaks against a version's going to a stack. Pure."""

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from headrace.contract.attestation import Attestation
from headrace.contract.codec import decode
from headrace.contract.declaration import Bounds, NotEmpty

_NOTICEABLE_MILLISECONDS: Final = 20.0
"""A first call that takes less is not compared: its time is that of imports and caches."""


@dataclass(frozen=True, kw_only=True)
class Gates:
    """What a stack asks of evidence: its setting `promotion`."""

    trusted_keys: tuple[NotEmpty, ...] = ()
    """Public keys, PEM, of the stacks that versions may come from."""
    require_example: bool = True
    """Whether the model must have answered an input example."""
    call_ratio_max: Annotated[float, Bounds(minimum=1)] = 2.0
    """How many times the time of the live version's proven call the new one's may take."""
    days_max: Annotated[float, Bounds(minimum=0)] = 90.0
    """Days that a proof is good for: the world that a model learned from changes."""

    @classmethod
    def of_setting(cls, setting: Any) -> "Gates":
        """Raises InputError with every fault of the setting `promotion`."""
        return decode(cls, {} if setting is None else setting, subject="promotion")

    def against(self, candidate: Attestation, live: Attestation | None, now: datetime.datetime) -> Iterator[str]:
        """Sentences on what speaks against the candidate; none where nothing does. `live` is what serves there now."""
        proof = candidate.proof
        if proof is None:
            yield "no pod has told a proof yet; run `pulumi up` of the first stack once more when its pods are ready"
            return
        if not proof.holds:
            yield f"it is not proven: {'; '.join(proof.differences)}; log a model that answers alike over all protocols"
        if self.require_example and not proof.has_example:
            yield "it was asked for no prediction; log an input example with the model, or set require_example: false"
        age = (now - datetime.datetime.fromisoformat(proof.time)).total_seconds() / 86400
        if age > self.days_max:
            yield f"its proof is {age:.0f} days old, must be at most {self.days_max:g}; deploy it there once more"
        yield from self._slower(
            proof.call_milliseconds, None if live is None or live.proof is None else live.proof.call_milliseconds
        )

    def _slower(self, new: float | None, live: float | None) -> Iterator[str]:
        if new is None or live is None or new < _NOTICEABLE_MILLISECONDS:
            return
        if new > live * self.call_ratio_max:
            yield (
                f"its proven call takes {new:.0f} ms and the live version's {live:.0f}, must be at most "
                f"{self.call_ratio_max:g} times as long; make it faster or raise call_ratio_max"
            )


def difference(candidate: Attestation, live: Attestation | None) -> Mapping[str, tuple[str, str]]:
    """What changes, by its name: what is live (empty: nothing is) and what comes. Empty where nothing changes."""

    def told(of: Attestation | None) -> dict[str, str]:
        if of is None:
            return dict.fromkeys(("model", "image", "proof"), "")
        proof = "none" if of.proof is None else of.proof.sentence()
        return {"model": of.model_uri, "image": of.image, "proof": proof}

    before, after = told(live), told(candidate)
    if before["image"] == after["image"]:
        return {}
    return {name: (before[name], after[name]) for name in after if before[name] != after[name]}
