"""Exposition: Prometheus' text format and query results, reduced to the samples the autoscaler reads. Pure."""

import functools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

_LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Sample(NamedTuple):
    """One number of one series, as its source gave it: it may be NaN, infinite or negative.

    A tuple, because ten thousand pods have ninety thousand of them each second.
    """

    instance: str
    """Host of the source, without a port."""
    name: str
    labels: Mapping[str, str]
    value: float


def parse(text: str, *, instance: str, wanted: Collection[str]) -> Iterator[Sample]:
    """Samples of the wanted names in an exposition. A line that cannot be read is skipped, as Prometheus' peers do."""
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None or match[1] not in wanted:
            continue
        try:
            value = float(match[3])
        except ValueError:
            continue
        yield Sample(instance, match[1], dict(_LABEL.findall(match[2])) if match[2] else {}, value)


def from_query(result: Iterable[Mapping[str, Any]]) -> Iterator[Sample]:
    """Samples of a Prometheus instant query's result, whose labels become theirs. A series without a readable value is
    skipped."""
    for series in result:
        labels: dict[str, str] = series["metric"]
        try:
            value = float(series["value"][1])
        except (KeyError, IndexError, TypeError, ValueError):
            continue
        instance = labels.pop("instance", "")
        yield Sample(_host(instance), labels.pop("__name__", ""), labels, value)


@functools.lru_cache(maxsize=1 << 15)
def _host(instance: str) -> str:
    host, separator, port = instance.rpartition(":")
    return host if separator and port.isdecimal() else instance
