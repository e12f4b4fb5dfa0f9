"""PrometheusStorage: how long the platform's own Prometheus remembers, and where; as inputs, rules and flags."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, NotRequired, TypedDict

from headrace.components.kubernetes.checks import DNS_SUBDOMAIN
from headrace.components.kubernetes.manifests import Manifest
from headrace.contract.codec import read
from headrace.contract.declaration import Bounds, Text

EMPTY_DIR_GIB: Final = 1
"""On the node's disk, without a volume."""
_FILLED: Final = 0.8
"""Share of a volume that samples may take: the write-ahead log and a compaction need the rest."""
Name = Annotated[str, Text(pattern=DNS_SUBDOMAIN.pattern, meaning="a name")]


class PrometheusStorage(TypedDict):
    """How long the platform's own Prometheus remembers. None is required."""

    volume_gib: NotRequired[int]
    """Size of a volume that is made for it, so that samples outlive its pod. Absent: ten minutes, on its node's
    disk."""
    storage_class: NotRequired[str]
    """Storage class of that volume. Absent: the cluster's default."""
    retention_days: NotRequired[int]
    """How long samples are kept on the volume, as far as 80 % of it hold them. Default 15."""


@dataclass(frozen=True, kw_only=True)
class CheckedStorage:
    """PrometheusStorage, checked."""

    volume_gib: Annotated[int, Bounds(minimum=1)] | None = None
    storage_class: Name | None = None
    retention_days: Annotated[int, Bounds(minimum=1, maximum=3650)] = 15

    def flags(self) -> list[str]:
        """Of Prometheus: how much it keeps, and in blocks of which length.

        Blocks begin at five minutes: Prometheus' default ones of two hours stay in memory for three, which are ten
        thousand samples of a series that is read each second.
        """
        if self.volume_gib is None:
            kept, longest = ["--storage.tsdb.retention.time=10m"], "5m"
        else:
            size, longest = int(self.volume_gib * 1024 * _FILLED), "1d"
            kept = [f"--storage.tsdb.retention.time={self.retention_days}d", f"--storage.tsdb.retention.size={size}MB"]
        return [
            *kept,
            "--storage.tsdb.min-block-duration=5m",
            f"--storage.tsdb.max-block-duration={longest}",
        ]

    def volume(self, claim: str) -> Manifest:
        """The source of the pod's volume."""
        if self.volume_gib is None:
            return {"emptyDir": {"sizeLimit": f"{EMPTY_DIR_GIB}Gi"}}
        return {"persistentVolumeClaim": {"claimName": claim}}

    def sentence(self) -> str:
        """What is kept, for whoever reads a preview."""
        if self.volume_gib is None:
            return (
                f"Prometheus keeps ten minutes on its node's disk (an emptyDir of {EMPTY_DIR_GIB} GiB), which go with "
                "its pod; set monitoring.volume_gib to keep days."
            )
        return f"Prometheus keeps {self.retention_days} days on a volume of {self.volume_gib} GiB, or what that holds."


def storage_faults(given: object, *, place: str, has_own: bool = True) -> Iterator[str]:
    """All that is wrong with PrometheusStorage, an input called `place`, of a platform that `has_own` Prometheus."""
    checked, faults = read(CheckedStorage, given)
    yield from (f"{place}.{fault}" for fault in faults)
    if not has_own:
        yield f"{place} is for a Prometheus of the platform's own; remove it, or prometheus_url and autoscaler false"
    if checked is None or not isinstance(given, Mapping) or checked.volume_gib is not None:
        return
    for name in ("storage_class", "retention_days"):
        if name in given:
            yield f"{place}.{name} is for volume_gib only; remove it or set volume_gib"


def checked_storage(given: Mapping[str, Any]) -> CheckedStorage:
    """PrometheusStorage without faults, with its defaults."""
    checked, _ = read(CheckedStorage, given)
    assert checked is not None  # what has no fault can be read
    return checked
