"""Scoring requests from a seed: well-formed ones, and ones that are broken in one or several places."""

import base64
import json
import random
from collections.abc import Callable
from typing import Any

Column = tuple[str, str, bool]

GOOD: dict[str, Callable[[random.Random], Any]] = {
    "double": lambda r: r.choice([r.uniform(-10, 10), r.randint(-5, 5), 1e-12, 1e12]),
    "float": lambda r: r.choice([r.uniform(-10, 10), r.randint(-5, 5), 0.1]),
    "long": lambda r: r.choice([r.randint(-100, 100), 2**53 + 1, -(2**62)]),
    "integer": lambda r: r.randint(-(2**31), 2**31 - 1),
    "boolean": lambda r: r.random() < 0.5,
    "string": lambda r: r.choice(["a", "b", "", "é 𝄞", "http://foo.com", "\u0000"]),
    "datetime": lambda r: r.choice(["2026-01-01", "2026-01-01T10:00:00", "2026-01-01 10:00:00.5"]),
    "binary": lambda r: base64.encodebytes(bytes([r.randint(0, 255), 1])).decode(),
}
BAD: list[Callable[[random.Random], Any]] = [
    lambda r: None,
    lambda r: "text",
    lambda r: True,
    lambda r: 1.5,
    lambda r: [1],
    lambda r: {"x": 1},
    lambda r: 2**40,
    lambda r: 2**70,
    lambda r: "1",
    lambda r: r.uniform(-1, 1) * 1e300,
]

LABELS: list[Callable[[random.Random, int], Any]] = [
    lambda r, count: list(range(18, 18 + count)),
    lambda r, count: list(range(18, 18 + count)),
    lambda r, count: list(range(count)),
    lambda r, count: [7] * count,
    lambda r, count: [r.randint(-3, 3) for _ in range(count)],
    lambda r, count: [r.choice(["a", "b", "", "2026-01-01", "é"]) for _ in range(count)],
    lambda r, count: [r.choice([0.5, 1.0, -2.25, 3]) for _ in range(count)],
    lambda r, count: [r.random() < 0.5 for _ in range(count)],
    lambda r, count: [r.choice([1, "a", None, True, 0.5]) for _ in range(count)],
    lambda r, count: [None] * count,
    lambda r, count: [r.choice([2**62, 2**63 - 1, 2**63, -(2**63), 2**70]) for _ in range(count)],
    lambda r, count: [[r.randint(0, 2)] for _ in range(count)],
    lambda r, count: [[r.randint(0, 2)] * count] * r.choice([1, 2]),
    lambda r, count: [{"x": 1}] * count,
    lambda r, count: list(range(count + 1)),
    lambda r, count: list(range(count - 1)),
    lambda r, count: None,
    lambda r, count: r.choice([5, "text", {"0": 1}, True]),
]
"""`index` of a table of so many rows."""


def table_request(generator: random.Random, columns: list[Column]) -> Any:
    """A request for named columns: mostly right, sometimes wrong in a place or two."""
    count = generator.choice([1, 1, 2, 5])
    names = [name for name, _, _ in columns]
    records = []
    bad = generator.random() < 0.3
    for _ in range(count):
        record = {name: GOOD[kind](generator) for name, kind, _ in columns}
        if bad and generator.random() < 0.7:
            record[generator.choice(names)] = generator.choice(BAD)(generator)
        records.append(record)
    trick = generator.random()
    if trick < 0.05:
        gone = generator.choice(names)
        records = [{name: value for name, value in record.items() if name != gone} for record in records]
    elif trick < 0.1:
        records = [{**record, "extra": generator.choice([1, "x", None])} for record in records]
    elif trick < 0.13:
        records[0].pop(generator.choice(names), None)
    names = list(records[0]) if records and records[0] else names
    if generator.random() < 0.3:
        generator.shuffle(names)
    records = [{name: record.get(name) for name in names if name in record} for record in records]
    form = generator.choice(["dataframe_split"] * 3 + ["dataframe_records"] * 3 + ["inputs", "columns", "instances"])
    request: dict[str, Any]
    if form == "dataframe_split":
        request = {form: {"columns": names, "data": [[record.get(name) for name in names] for record in records]}}
        if generator.random() < 0.4:
            request[form]["index"] = generator.choice(LABELS)(generator, count)
        if generator.random() < 0.03:
            request[form]["data"][0].append(1)
        if generator.random() < 0.03:
            request[form].pop(generator.choice(["columns", "data"]))
    elif form == "columns":
        request = {"inputs": {name: [record.get(name) for record in records] for name in names}}
    else:
        request = {form: records}
    return whims(generator, request)


def tensor_request(generator: random.Random, shape: tuple[int, ...], whole: bool) -> Any:
    """A request for one unnamed tensor."""

    def filled(lengths: tuple[int, ...]) -> Any:
        if not lengths:
            if generator.random() < 0.01:
                return generator.choice(BAD)(generator)
            return generator.randint(-9, 9) if whole else generator.choice([generator.uniform(-9, 9), 1])
        length = lengths[0] + (generator.random() < 0.01)
        return [filled(lengths[1:]) for _ in range(length)]

    data = filled((generator.choice([1, 1, 3]), *shape))
    form = generator.choice(["inputs", "inputs", "instances", "dataframe_split"])
    if form == "dataframe_split":
        return whims(generator, {form: {"data": data}})
    return whims(generator, {form: data})


def whims(generator: random.Random, request: dict[str, Any]) -> Any:
    """What callers add or forget around the data."""
    trick = generator.random()
    if trick < 0.03:
        request["unknown"] = 1
    elif trick < 0.05:
        request["dataframe_records"] = []
        request["inputs"] = []
    elif trick < 0.07:
        request = {"nothing": 1}
    elif trick < 0.12:
        request["params"] = generator.choice([{}, {"temperature": 0.5}, {"temperature": "warm"}, [1], None, {"z": 1}])
    elif trick < 0.13:
        return generator.choice([[1], 1, None, "x", True, {}])
    elif trick < 0.15:
        key = next(iter(request))
        request[key] = generator.choice([[], {}, None, 1, "x", [[]], [{}], {"data": []}])
    return request


def encoded(generator: random.Random, request: Any) -> bytes:
    body = json.dumps(request).encode()
    trick = generator.random()
    if trick < 0.01:
        return body[: len(body) // 2]
    if trick < 0.02:
        return body.replace(b"1", b"NaN", 1)
    return body


def csv_request(generator: random.Random, columns: list[Column]) -> bytes:
    names = [name for name, _, _ in columns]
    lines = [",".join(names)]
    for _ in range(generator.choice([1, 3])):
        values = []
        for _, kind, _ in columns:
            value = "" if generator.random() < 0.05 else GOOD[kind](generator)
            values.append("" if isinstance(value, str) and not value.isascii() else str(value).strip())
        lines.append(",".join(values[: len(values) - (generator.random() < 0.03)]))
    return ("\n".join(lines) + ("\n" if generator.random() < 0.7 else "")).encode()
