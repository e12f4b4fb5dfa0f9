"""The forms that benchmarks send are what they say, and the page of protocols says what was measured of them."""

import gzip
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # bench/ is a plain folder

from bench import bodies, forms, report

FORMS = bodies.forms(["a", "b"], [[1.5, 2.0], [3.0, 4.25]])


def test_the_pages_table_is_what_the_result_makes_of_it() -> None:
    result = json.loads((report.RESULTS / "forms.json").read_text())
    written = forms.PAGE.read_text().partition(forms.MARKS[0])[2].partition(forms.MARKS[1])[0]

    assert written == forms.table(result), "run `python -m bench.forms --page`"


def test_every_form_was_measured_and_judged() -> None:
    result = json.loads((report.RESULTS / "forms.json").read_text())
    judged = {bar["name"].partition(": ")[0] for bar in result["bars"]}

    assert judged == {f"{case}, {name}" for case in forms.ROWS for name in FORMS}


def test_what_a_client_writes_apart_is_the_same_request() -> None:
    whole, apart = FORMS["split"].writes("x"), FORMS["split, two writes"].writes("x")
    chunked = FORMS["split, chunked"].writes("x")

    assert len(whole) == 1
    assert (b"".join(apart),) == whole
    assert apart[0].endswith(b"\r\n\r\n")
    assert int(chunked[1].partition(b"\r\n")[0], 16) == len(FORMS["split"].body)
    assert gzip.decompress(FORMS["split, gzip"].body) == FORMS["split"].body


def test_a_form_goes_to_another_path_with_further_headers() -> None:
    [sent] = FORMS["CSV"].writes("host:1", path="/serving-endpoints/e/invocations", headers=[("Authorization", "t")])

    head = sent.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert head[0] == b"POST /serving-endpoints/e/invocations HTTP/1.1"
    assert head[1:] == [b"Host: host:1", b"Content-Type: text/csv", b"Authorization: t", b"Content-Length: 21"]


def test_grpc_is_not_written_as_http_1() -> None:
    with pytest.raises(ValueError, match="gRPC"):
        FORMS["gRPC raw, one tensor"].writes("x")


def test_a_form_below_half_of_the_fastest_is_missed_and_its_ceiling_said() -> None:
    cells = [
        report.single("one row", "requests_per_second", rate, "requests/s", system=system)
        for system, rate in (("split", 100.0), ("CSV", 50.0), ("gRPC raw, one tensor", 30.0), (forms.LEAST, 45.0))
    ]
    cells += [report.single("three rows", "requests_per_second", 1.0, "requests/s", system="split")]
    bars = {bar.name.partition(": ")[0]: bar for bar in forms.judge(cells)}

    assert bars["one row, CSV"].holds
    assert not bars["one row, gRPC raw, one tensor"].holds
    assert bars["one row, gRPC raw, one tensor"].rule.endswith("0.45")
    assert f"one row, {forms.LEAST}" not in bars
