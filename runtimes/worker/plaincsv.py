"""CSV tables of plain numbers, many requests read in one step by the parser that MLflow uses.

MLflow reads a CSV with `pandas.read_csv` and the column types of the signature, and then enforces the signature: two
to three milliseconds for ten rows, nearly all of it the same for one row and for a thousand. A value's meaning depends
on its column's type alone, so the rows of many requests with one header may be read together. Taken is only what is
digits, signs, points, exponents and commas under exactly the header of the signature, with a number in every field.
"""

from __future__ import annotations

import logging
from io import BytesIO
from typing import Any

from .parts import Part

log = logging.getLogger("headrace.worker")

_DIGITS = b"0123456789.,eE+-\r\n"
MOST_BYTES = 1 << 20
"""A larger table gains nothing from company, and MLflow reads it as well."""


class PlainCsv:
    """The CSV requests of a model whose columns are all of type double."""

    def __init__(self, names: list[str], numpy: Any, pandas: Any) -> None:
        self._header = ",".join(names).encode()
        self._columns = len(names)
        self._numpy = numpy
        self._pandas = pandas
        self.suits = not any(character in name for name in names for character in '",\r\n') and all(names)
        """Whether the names stand in a CSV header as they are."""

    def rows(self, body: bytes) -> bytes | None:
        """The lines below the header, each ended; None when MLflow must look at the request."""
        header, newline, rows = body.partition(b"\n")
        if header.rstrip(b"\r") != self._header or not newline or len(body) > MOST_BYTES:
            return None
        if rows.translate(None, _DIGITS):
            return None
        rows = rows.rstrip(b"\r\n").replace(b"\r\n", b"\n")
        if not rows or b"\r" in rows or {line.count(b",") for line in rows.split(b"\n")} != {self._columns - 1}:
            return None
        return rows + b"\n"

    def read(self, tables: list[bytes]) -> Any:
        """All rows as one array of doubles. ValueError, and what pandas raises, where a field is no number."""
        text = self._header + b"\n" + b"".join(tables)
        frame = self._pandas.read_csv(BytesIO(text), dtype=self._numpy.float64)
        values = frame.to_numpy()
        expected = sum(table.count(b"\n") for table in tables)
        if values.shape != (expected, self._columns) or self._numpy.isnan(values).any():
            raise ValueError("a field is empty, or a line is")
        return values

    def parts(self, bodies: list[tuple[int, bytes]]) -> list[Part]:
        """The rows of the plain requests of some, each given with its place; none where one turns out not to be."""
        found = [(place, lines) for place, body in bodies if (lines := self.rows(body)) is not None]
        if not found:
            return []
        try:
            values = self.read([lines for _, lines in found])
        except Exception as error:
            log.debug("a CSV request is not plain", exc_info=error)
            return []
        made, start = [], 0
        for place, lines in found:
            end = start + lines.count(b"\n")
            made.append(Part(place, values[start:end]))
            start = end
        return made
