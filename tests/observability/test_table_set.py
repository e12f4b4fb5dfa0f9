"""The tables of all endpoints."""

from typing import Any

from headrace.contract.errors import TemporaryError
from headrace.contract.inference_table import InferenceTable
from headrace.observability.tables.table_set import MAINTAIN_SECONDS, TableSet


class Opened:
    def __init__(self, uri: str, options: Any) -> None:
        self.uri, self.options = uri, options
        self.maintained: list[int | None] = []

    def maintain(self, *, retention_days: int | None) -> None:
        self.maintained.append(retention_days)
        if self.uri == "bad":
            raise TemporaryError("away")


def test_a_table_is_opened_once_and_anew_when_its_place_or_credentials_change() -> None:
    uris, options = {"fraud": "s3://a"}, {"key": "1"}
    tables: Any = TableSet(lambda name: InferenceTable(uri=uris[name]), lambda: options, opened=Opened)  # type: ignore[arg-type]
    first = tables.table("fraud")

    assert tables.table("fraud") is first
    uris["fraud"] = "s3://b"
    assert tables.table("fraud").uri == "s3://b"
    options["key"] = "2"
    assert tables.table("fraud").options == {"key": "2"}


def test_tables_are_looked_after_now_and_then_and_one_that_cannot_be_keeps_no_other_from_it() -> None:
    now = [0.0]
    of: Any = TableSet(
        lambda name: InferenceTable(uri=name, retention_days=3),
        dict,
        opened=Opened,
        clock=lambda: now[0],  # type: ignore[arg-type]
    )
    opened = [of.table("bad"), of.table("good")]
    of.maintain()
    now[0] = MAINTAIN_SECONDS
    of.maintain()
    of.maintain()

    assert [one.maintained for one in opened] == [[3], [3]]


def test_days_beyond_the_retention_go_whether_requests_come_or_not() -> None:
    now, opened = [0.0], list[Opened]()

    def open_table(uri: str, options: Any) -> Any:
        opened.append(Opened(uri, options))
        return opened[-1]

    of = TableSet(
        lambda name: InferenceTable(uri=name, retention_days=3),
        dict,
        known=lambda: ["quiet"],
        opened=open_table,
        clock=lambda: now[0],
    )
    of.maintain()
    now[0] = MAINTAIN_SECONDS
    of.maintain()

    assert [(one.uri, one.maintained) for one in opened] == [("quiet", [3])]
