"""Every program writes the same line: OpenTelemetry's fields, one JSON object, whatever it is given."""

import io
import json
import logging
import subprocess
import sys
import threading

import pytest

from headrace.contract import log_line


def written(record: logging.LogRecord, **fields: str) -> dict[str, object]:
    text = log_line.LineFormatter({log_line.COMPONENT: "front", **fields}).format(record)
    assert "\n" not in text
    document: dict[str, object] = json.loads(text)
    return document


def record(message: str, *arguments: object, level: int = logging.ERROR, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("headrace.front", level, "x.py", 1, message, arguments, None)
    made.created = 1_796_104_800.25
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_a_line_says_when_how_grave_what_who_and_of_what() -> None:
    found = written(record("it %s", "failed", fields={"worker": 3}), endpoint="fraud", version="v7", pod="v7-a")
    assert found == {
        "timestamp": "2026-12-01T06:00:00.250Z", "severity_text": "ERROR", "body": "it failed", "component": "front",
        "scope": "headrace.front", "endpoint": "fraud", "version": "v7", "pod": "v7-a", "attributes": {"worker": 3},
    }  # fmt: skip


def test_an_exception_is_a_field_of_the_one_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        failed = record("no", exc_info=sys.exc_info())
    assert str(written(failed)["exception"]).endswith("ValueError: two\nlines")


def test_lines_within_tell_of_what_is_worked_on_and_lines_after_do_not() -> None:
    with log_line.about(endpoint="fraud", request_id="r1"):
        within = written(record("one"))
    assert (within["endpoint"], within["request_id"]) == ("fraud", "r1")
    assert "request_id" not in written(record("two"))


@pytest.mark.parametrize(
    ("level", "severity"),
    [(10, "DEBUG"), (20, "INFO"), (25, "INFO"), (30, "WARN"), (40, "ERROR"), (50, "FATAL"), (99, "FATAL")],
)
def test_levels_of_python_have_severities_of_opentelemetry(level: int, severity: str) -> None:
    assert written(record("", level=level))["severity_text"] == severity
    assert severity in log_line.SEVERITIES


@pytest.mark.parametrize(
    "text",
    [
        '{"endpoint": "other", "severity_text": "FATAL"}',
        "\x1b[31mred\x1b[0m",
        "one\ntwo\r\nthree",
        "\x00\u2028\x85",
        "",
    ],
)
def test_no_text_can_claim_a_field_or_end_its_line(text: str) -> None:
    found = written(record("%s", text), endpoint="fraud")
    assert (found["body"], found["endpoint"], found["severity_text"]) == (text, "fraud", "ERROR")


def test_a_text_that_is_no_unicode_is_written() -> None:
    stream = io.StringIO()
    handler = log_line.LineHandler(stream)
    handler.setFormatter(log_line.LineFormatter({log_line.COMPONENT: "front"}))
    handler.emit(record("a lone \ud800"))
    assert json.loads(stream.getvalue())["body"] == "a lone \ud800"
    assert json.loads(log_line.encoded(written_text("a lone \ud800")))["body"] == "a lone \ud800"


def written_text(body: str) -> str:
    return log_line.line(0.0, "INFO", body, {})


def test_arguments_that_do_not_fit_cost_the_form_and_not_the_line() -> None:
    assert written(record("%d pods", "no"))["body"] == "%d pods ('no',)"


def test_a_long_text_keeps_its_beginning_and_a_long_trace_its_end() -> None:
    assert (
        written(record("x" * 100_000))["body"]
        == "x" * log_line.LONGEST + f" … {100_000 - log_line.LONGEST} characters more"
    )
    assert log_line.the_end("x" * 100_000 + "ValueError").endswith("ValueError")


PROGRAM = """
import logging, sys, threading, warnings
from headrace.contract import log_line
log_line.configure("autoscaler", fields={"endpoint": "fraud"})
logging.getLogger("urllib3").warning("a library's")
warnings.warn("old")
def fail(): raise KeyError("in a thread")
thread = threading.Thread(target=fail, name="writer"); thread.start(); thread.join()
raise ValueError("nobody caught it")
"""


def test_a_program_that_is_configured_writes_nothing_else() -> None:
    """Loggers of libraries, warnings, threads that end, and the exception that ends it."""
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False).stderr
    lines = [json.loads(line) for line in told.splitlines()]
    assert [line["component"] for line in lines] == ["autoscaler"] * 4
    assert [line["scope"] for line in lines] == ["urllib3", "py.warnings", "headrace", "headrace"]
    assert "KeyError: 'in a thread'" in lines[2]["exception"]
    assert "ValueError: nobody caught it" in lines[3]["exception"]
    assert lines[3]["severity_text"] == "FATAL"


def test_what_is_worked_on_in_one_thread_is_none_of_anothers() -> None:
    found: list[dict[str, object]] = []
    with log_line.about(endpoint="fraud"):
        thread = threading.Thread(target=lambda: found.append(written(record("elsewhere"))))
        thread.start()
        thread.join()
    assert "endpoint" not in found[0]
