"""Whether requests for this version are merged into one model call: what the workers say, for all of them."""

import logging
from typing import Any

log = logging.getLogger("headrace.front")


class Merging:
    """One answer for the pod. A worker that sees answers mixed ends merging for all, for as long as the front runs."""

    def __init__(self) -> None:
        self.merges: bool | None = None
        """None until a worker is ready; it stays so in front of an engine."""
        self.reason = ""
        """Why requests are not merged; empty when they are."""
        self.ended = False
        """Whether that is for good."""
        self.checked = 0
        """Merged calls that were scored again, apart."""
        self.differed = 0
        """Those of them that gave other answers; callers got those of the separate scoring."""

    def heard(self, described: dict[str, Any]) -> None:
        """Takes what a worker says of itself, when it is ready and when it begins or ends merging."""
        if self.ended:
            return
        known, self.ended = self.merges, bool(described.get("mixes"))
        if self.ended or known is None or described["merges"]:
            self.merges, self.reason = bool(described["merges"]), str(described.get("merges_not_because", ""))
        if self.merges != known:
            self._tell(known)

    def count(self, head: dict[str, Any]) -> None:
        """Adds what a worker counted in one call."""
        if "checked" in head:
            self.checked += int(head["checked"])
            self.differed += int(head["differed"])

    def figures(self) -> list[tuple[str, str, float | None]]:
        """Name, kind and value of each metric."""
        known = self.merges is not None
        return [
            ("headrace_merging", "gauge", self.merges),
            ("headrace_merged_calls_checked_total", "counter", self.checked if known else None),
            ("headrace_merged_calls_differed_total", "counter", self.differed if known else None),
        ]

    def _tell(self, before: bool | None) -> None:
        if before and not self.merges:
            log.error("requests are not merged into one model call any more: %s", self.reason)
        elif self.merges:
            log.info("requests are merged into one model call")
        elif before is None:
            log.info("requests are not merged into one model call: %s", self.reason)
