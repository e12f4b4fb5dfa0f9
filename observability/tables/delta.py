"""Delta: one inference table in its store. Each pod's rows get in exactly once, whatever ends in between.

A commit holds rows of many pods and, for each of them, one application transaction (Delta protocol, action `txn`): the
pod's uid and the last sequence. Whoever writes next reads those first and leaves out what is in. Two writers at once
are told by the store: only one makes the next version of the table, and a commit that began before another one with the
same pod fails.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, Final

from deltalake import CommitProperties, DeltaTable, Schema, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError, TableNotFoundError

from headrace.contract.errors import HeadraceError, PermanentError, TemporaryError
from headrace.contract.inference_table import COLUMNS, PARTITION
from headrace.observability.tables.batch import SCHEMA, Batch, joined

log = logging.getLogger(__name__)

VOLUME: Final = PurePosixPath("/tables")
"""Where the table writer's volume is mounted; tables without a store's scheme are below it."""
_TRIES: Final = 5
"""Of a commit, against other writers of the same pods, who are few: a table writer before this one that still runs."""
_DENIED: Final = re.compile(
    r"permission denied|read-only file system|access ?denied|forbidden|unauthori[sz]ed|\b40[13]\b"
    r"|invalidaccesskeyid|signaturedoesnotmatch|unauthenticated|credentials|authenticationfailed|expiredtoken",
    re.IGNORECASE,
)
"""What stores say of credentials and rights."""
_AWAY: Final = re.compile(r"timed? ?out|connect|dns|error sending request|\b50[0234]\b|no space", re.IGNORECASE)
"""What is said of stores that do not answer."""
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m|↳")
_JOINED: Final = WriterProperties(max_row_group_size=2048)
"""Of files that others are joined to. Readers hold a column of a row group at once, and some have little memory: the
console's look, checks for drift. With requests of 10 KB it is 20 MB; Parquet's own million rows would be the file."""
_REMOTE_OPTIONS: Final = {"timeout": "20s", "connect_timeout": "5s", "max_retries": "2", "retry_timeout": "30s"}
"""A store that hangs must not hold up the pods' next try."""
_S3_OPTIONS: Final = {"aws_conditional_put": "etag"}
"""The next version of a table is made by a PUT that fails where there is one: S3 has it since 2024."""


class StoreUnavailable(TemporaryError):
    """The store does not answer."""


class AccessDenied(TemporaryError):
    """The store refuses the credentials, or what they may do."""


class TableUnusable(TemporaryError):
    """The table cannot be written; it can when it, or the endpoint's input, is changed."""


class SchemaMismatch(TableUnusable):
    """The table has columns of other types, or lacks some."""


class InferenceDeltaTable:
    """One table, used by one thread at a time."""

    def __init__(self, uri: str, options: Mapping[str, str], *, volume: PurePosixPath = VOLUME) -> None:
        """`options`: deltalake's storage options, credentials among them. Raises TableUnusable for a path outside of
        the volume."""
        self._uri = uri
        self._options = storage_options(uri, options, volume=volume)
        self._table: DeltaTable | None = None

    def append(self, batches: Sequence[Batch]) -> int:
        """Makes one commit of the rows that are not in the table yet; returns how many those were.

        Raises a TemporaryError that says what is wrong with the table; then some rows may be in or not, and sending
        them again settles it.
        """
        try:
            for _ in range(_TRIES):
                try:
                    new = self._new(batches)
                    if new:
                        self._commit(new)
                    return sum(len(batch.sequences) for batch in new)
                except CommitFailedError as error:
                    self._table = None  # looked at anew
                    log.info("another writer was faster: %s", error)
            raise StoreUnavailable(f"{self._uri}: other writers were faster {_TRIES} times")
        except HeadraceError:
            self._table = None
            raise
        except (
            Exception
        ) as error:  # deltalake's, object_store's through OSError, and pyo3's panics through BaseException
            self._table = None
            raise explained(self._uri, error) from error

    def maintain(self, *, retention_days: int | None, now: datetime | None = None) -> None:
        """Joins small files, deletes days beyond the retention, and removes files that nobody reads any more."""
        look_after(self._uri, self._options, day_column=PARTITION, retention_days=retention_days, now=now)

    def _new(self, batches: Sequence[Batch]) -> list[Batch]:
        """What is not in the table, each pod's sequences ascending over its batches."""
        table = self._open()
        known: dict[str, int] = {}
        new = []
        for batch in sorted(batches, key=lambda one: one.last):
            if batch.pod_uid not in known:
                known[batch.pod_uid] = table.transaction_version(batch.pod_uid) or 0
            left = batch.after(known[batch.pod_uid])
            if left is not None:
                known[batch.pod_uid] = left.last
                new.append(left)
        return new

    def _open(self) -> DeltaTable:
        """The table as it is now; made where there is none.

        Made before the first rows and not with them: a commit that makes a table has read no `txn`, so that of two at
        once both would get in.
        """
        if self._table is not None:
            self._table.update_incremental()
            return self._table
        try:
            found = DeltaTable(self._uri, storage_options=self._options)
        except TableNotFoundError:
            DeltaTable.create(
                self._uri, Schema.from_arrow(SCHEMA), mode="ignore", partition_by=[PARTITION],
                storage_options=self._options or None, description="Requests to an endpoint and their answers",
            )  # fmt: skip
            found = DeltaTable(self._uri, storage_options=self._options)
        _require_columns(self._uri, found)
        self._table = found
        return found

    def _commit(self, batches: Sequence[Batch]) -> None:
        last = {batch.pod_uid: batch.last for batch in batches}
        transactions = [Transaction(pod, version) for pod, version in last.items()]
        properties = CommitProperties(app_transactions=transactions)
        assert self._table is not None  # it was looked at
        # columns that others have added are null
        write_deltalake(self._table, joined(batches), mode="append", schema_mode="merge", commit_properties=properties)


def look_after(
    uri: str,
    options: Mapping[str, str],
    *,
    day_column: str,
    retention_days: int | None,
    now: datetime | None = None,
) -> None:
    """Joins a table's small files, deletes days beyond the retention, and removes files that nobody reads any more.

    Does nothing where there is no table. Raises a TemporaryError that says what is wrong.
    """
    now = datetime.now(UTC) if now is None else now
    try:
        table = DeltaTable(uri, storage_options=dict(options))
        if retention_days is not None:
            table.delete(f"{day_column} < '{(now - timedelta(days=retention_days)).date().isoformat()}'")
        table.optimize.compact(writer_properties=_JOINED)
        table.vacuum(dry_run=False)  # by the table's own period for readers that are behind: a week
        table.cleanup_metadata()
    except TableNotFoundError:
        return
    except Exception as error:
        raise explained(uri, error) from error


def storage_options(uri: str, options: Mapping[str, str], *, volume: PurePosixPath = VOLUME) -> dict[str, str]:
    """deltalake's options for a table: those that are given, for its store, and ours. Raises TableUnusable for a path
    outside of the volume."""
    if "://" in uri and not uri.startswith("file://"):
        return {**_REMOTE_OPTIONS, **(_S3_OPTIONS if uri.startswith(("s3://", "s3a://")) else {}), **options}
    path = PurePosixPath(uri.removeprefix("file://"))
    if ".." in path.parts or volume not in path.parents:
        raise TableUnusable(f"inference_table.uri = {uri!r}, must be a store's address or a path below {volume}")
    return {}


def _require_columns(uri: str, table: DeltaTable) -> None:
    there: dict[str, Any] = {field.name: _name_of(field.type) for field in table.schema().fields}
    wrong = [
        f"{name} is {there.get(name, 'missing')}, must be {kind}"
        for name, kind in COLUMNS.items()
        if there.get(name) != kind
    ]
    if wrong:
        raise SchemaMismatch(f"{uri}: {'; '.join(wrong)}; choose another folder or add the columns")


def _name_of(kind: Any) -> str:
    """Delta's name of a type; of an array with its elements'."""
    return f"array<{_name_of(kind.element_type)}>" if hasattr(kind, "element_type") else str(kind.type)


def explained(uri: str, error: BaseException) -> TemporaryError:
    """What is wrong with a table, in words for whoever runs the platform."""
    said = " ".join(_COLOURS.sub(" ", str(error)).split())[:600]
    if isinstance(error, SchemaMismatchError):
        return SchemaMismatch(f"{uri}: {said}")
    if isinstance(error, PermissionError) or _DENIED.search(said):
        return AccessDenied(f"{uri}: {said}; check the credentials and rights of the table writer")
    if _AWAY.search(said):
        return StoreUnavailable(f"{uri}: {said}")
    if isinstance(error, DeltaError | OSError | ValueError | PermanentError):
        return TableUnusable(f"{uri}: {said}")
    return StoreUnavailable(f"{uri}: {type(error).__name__}: {said}")
