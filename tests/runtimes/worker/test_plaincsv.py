"""Plain CSV tables read together give what MLflow's reading of each gives, and nothing else is taken."""

# ruff: noqa: PLC0415 -- pandas takes a while to import; only tests that need it pay.

import random
from io import BytesIO
from typing import Any

import pytest

from headrace.runtimes.worker.plaincsv import MOST_BYTES, PlainCsv


@pytest.fixture(scope="module")
def table() -> PlainCsv:
    import numpy
    import pandas

    return PlainCsv(["a", "b c"], numpy, pandas)


def number(generator: random.Random) -> str:
    return generator.choice(
        [
            lambda: repr(generator.gauss(0, 1)),
            lambda: repr(generator.uniform(-1, 1) * 10.0 ** generator.randint(-300, 300)),
            lambda: str(generator.randint(-(10**17), 10**17)),
            lambda: f"{generator.uniform(-100, 100):.{generator.randint(0, 20)}f}",
            lambda: "007",
        ]
    )()


def test_tables_read_together_equal_tables_read_alone_by_pandas_to_the_last_bit(table: PlainCsv) -> None:
    import numpy
    import pandas

    generator = random.Random(5)
    bodies = []
    for _ in range(60):
        newline = generator.choice(["\n", "\r\n"])
        lines = ["a,b c", *[f"{number(generator)},{number(generator)}" for _ in range(generator.randint(1, 9))]]
        bodies.append((newline.join(lines) + generator.choice(["", newline])).encode())
    parts = [table.rows(body) for body in bodies]
    together = table.read([part for part in parts if part is not None])
    alone = [pandas.read_csv(BytesIO(body), dtype=numpy.float64).to_numpy() for body in bodies]

    assert None not in parts
    assert numpy.ascontiguousarray(together).tobytes() == numpy.concatenate(alone).tobytes(order="C")


@pytest.mark.parametrize(
    "body",
    [b"a,b c\n", b"a,b c", b"", b"b c,a\n1,2\n", b"a,b c\n1\n", b"a,b c\n1,2,3\n", b"a,b c\n1,2\n\n3,4\n",
     b"a,b c\n1,nan\n", b'a,b c\n1,"2"\n', b"a,b c\n1, 2\n", b"a,b c\n1,x\n", b"a,b c\n1\r2,3\n", b"a,b c,d\n1,2,3\n",
     b"a,b c\n" + b"1,2\n" * MOST_BYTES],
)  # fmt: skip
def test_whatever_is_not_plainly_a_table_of_numbers_is_left_to_mlflow(table: PlainCsv, body: bytes) -> None:
    assert table.rows(body) is None


@pytest.mark.parametrize("row", [b"1,\n", b",\n", b"1-2,3\n", b"--1,2\n", b"1e,2\n", b"1.2.3,4\n"])
def test_a_field_that_is_no_number_is_an_error_and_never_a_value(table: PlainCsv, row: bytes) -> None:
    good: Any = table.rows(b"a,b c\n1,2\n")
    bad: Any = table.rows(b"a,b c\n" + row)

    with pytest.raises(Exception):  # noqa: B017, PT011 -- whatever pandas of the model raises
        table.read([good, bad])


def test_names_that_need_quotes_are_not_for_the_short_way() -> None:
    import numpy
    import pandas

    assert not PlainCsv(["a,b"], numpy, pandas).suits
    assert PlainCsv(["a b"], numpy, pandas).suits
