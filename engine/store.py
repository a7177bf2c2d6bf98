"""Where records are kept: in memory, in SQLite, or behind any SQLAlchemy URL."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import platformdirs
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from engine.errors import StoreUnavailable, first_line

RecordKind: TypeAlias = Literal["size", "score", "latency", "pair", "machine", "layers", "elsewhere"]
Payload: TypeAlias = "dict[str, object]"
OPENING_S = 10.0
KINDS: tuple[RecordKind, ...] = get_args(RecordKind)


class Store(ABC):
    """Records by key: size and compute, score, latency, original against variant, machine, all layers of a model,
    latency on other machines. A key is plain.

    url    where another process can read it; None where it cannot
    """

    url: str | None = None

    @abstractmethod
    def get(self, kind: RecordKind, key: Payload) -> Payload | None:
        """The record, or None."""

    @abstractmethod
    def put(self, kind: RecordKind, key: Payload, record: Payload) -> None:
        """Keep the record, in place of an older one; it is committed when this returns."""

    def close(self) -> None:
        """Let go of files and connections."""


def key_text(key: Payload) -> str:
    """Equal keys have equal texts."""
    return json.dumps(key, sort_keys=True, separators=(",", ":"))


class MemoryStore(Store):
    """Records that live as long as the object."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], str] = {}

    def get(self, kind: RecordKind, key: Payload) -> Payload | None:
        """The record, or None."""
        text = self._records.get((kind, key_text(key)))
        return None if text is None else json.loads(text)

    def put(self, kind: RecordKind, key: Payload, record: Payload) -> None:
        """Keep the record."""
        self._records[kind, key_text(key)] = json.dumps(record)


class DatabaseStore(Store):
    """Records in a database, one table a kind.

    Raises StoreUnavailable where the URL is not one or the database cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        meta = sa.MetaData()
        self._tables = {
            kind: sa.Table(
                f"{kind}_records",
                meta,
                sa.Column("id", sa.String(64), primary_key=True),
                sa.Column("key", sa.Text, nullable=False),
                sa.Column("record", sa.Text, nullable=False),
                sa.Column("written", sa.String(32), nullable=False),
            )
            for kind in KINDS
        }
        try:
            self._engine = sa.create_engine(url, connect_args={"timeout": 30} if url.startswith("sqlite") else {})
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _write_ahead)
            self._create(meta)
        except (SQLAlchemyError, ImportError, ValueError, TypeError) as error:
            raise StoreUnavailable(
                "the store must be a database that can be opened, got {url!r}: {why}",
                url=_shown(url),
                why=first_line(error, 1000),
            ) from error

    def _create(self, meta: sa.MetaData) -> None:
        """Make the tables that are missing; another process may be doing so at this moment."""
        until = time.monotonic() + OPENING_S
        while True:
            try:
                with self._engine.begin() as connection:
                    for table in meta.sorted_tables:
                        connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
                return
            except OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def get(self, kind: RecordKind, key: Payload) -> Payload | None:
        """The record, or None."""
        table = self._tables[kind]
        with self._faults(), self._engine.connect() as connection:
            text = connection.execute(sa.select(table.c.record).where(table.c.id == _id(key))).scalar()
        return None if text is None else json.loads(text)

    def put(self, kind: RecordKind, key: Payload, record: Payload) -> None:
        """Keep the record, in place of an older one."""
        table, mark = self._tables[kind], _id(key)
        row = {"id": mark, "key": key_text(key), "record": json.dumps(record), "written": datetime.now(UTC).isoformat()}
        with self._faults(), self._engine.begin() as connection:
            connection.execute(sa.delete(table).where(table.c.id == mark))
            connection.execute(sa.insert(table).values(row))

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """A database that fails later, full, locked or read-only, as one sentence."""
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreUnavailable(
                "the store must be a database that can be read and written, got {url!r}: {why}",
                url=_shown(self.url or ""), why=first_line(error, 1000),
            ) from error  # fmt: skip

    def close(self) -> None:
        """Let go of files and connections."""
        self._engine.dispose()


def _shown(url: str) -> str:
    """A URL without its password."""
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except (SQLAlchemyError, ValueError):
        return url


def _id(key: Payload) -> str:
    return sha256(key_text(key).encode()).hexdigest()


def _write_ahead(connection: sa.engine.interfaces.DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")  # a reader and a writer do not wait for each other
    cursor.close()


def default_url() -> str:
    """SQLite in the user's data folder, which is made where it is missing."""
    folder = Path(platformdirs.user_data_dir("secateur", appauthor=False, ensure_exists=True))
    return f"sqlite:///{folder / 'records.sqlite'}"


def open_store(url: str | None = None) -> Store:
    """The store behind a URL; `sqlite://` is memory; None is SQLite in the user's data folder.

    Raises StoreUnavailable.
    """
    if url in ("sqlite://", "sqlite:///:memory:"):
        return MemoryStore()
    try:
        return DatabaseStore(default_url() if url is None else url)
    except OSError as error:
        raise StoreUnavailable("the user's data folder must be writable, got: {why}", why=error) from error
