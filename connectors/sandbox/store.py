"""What a sandbox remembers: records, key writes, tokens and counters, in one SQLite file.

A record that was written is there after the process was killed: each transaction is handed to the
operating system before the answer goes out. (The machine losing power may lose the last ones; a
sandbox is a vendor in miniature, not a bank.) One connection serves all threads in turn.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.sandbox import clock

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    object TEXT NOT NULL,
    id TEXT NOT NULL,
    fields TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    UNIQUE (object, id)
);
CREATE TABLE IF NOT EXISTS key_writes (
    account TEXT NOT NULL,
    object TEXT NOT NULL,
    key TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    PRIMARY KEY (account, object, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept (
    kind TEXT NOT NULL, id TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (
    kind TEXT NOT NULL, id TEXT NOT NULL, units INTEGER NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
"""

_COLUMNS = "account, object, id, fields, created_at, updated_at"
#: SQLite refuses statements with more variables than this in old builds.
_MAX_VARIABLES = 500


@dataclass(frozen=True, slots=True)
class Record:
    """A stored record; times are seconds since 1970 UTC."""

    account: str
    object: str
    id: str
    fields: Mapping[str, Any]
    created_at: float
    updated_at: float


class Store:
    """Records by account and object, and small documents and counters beside them.

    ``key_field`` is the field that holds our own key. Writes are counted for each key, so that a
    test can prove that none was written twice. Field comparison ignores the case of ASCII letters.
    """

    def __init__(self, path: Path, *, key_field: str) -> None:
        """Open or create the file; its folder is made when missing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.key_field = key_field
        self._lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_SCHEMA)
        self.index(key_field)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep other threads out, and write all or nothing; may be nested."""
        with self._lock:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("COMMIT")

    def index(self, field: str) -> None:
        """Make look-ups by this field fast."""
        name = "by_" + "".join(c if c.isalnum() else "_" for c in field)
        with self._lock:
            self._db.execute(
                f'CREATE INDEX IF NOT EXISTS "{name}" ON records (account, object, '
                f"{_path(field)} COLLATE NOCASE)"
            )

    def insert(
        self, account: str, object_name: str, record_id: str, fields: Mapping[str, Any]
    ) -> Record:
        """Store a new record; fields of None are left out. The id must be free."""
        now = clock.seconds()
        kept = {name: value for name, value in fields.items() if value is not None}
        with self._lock:
            self._db.execute(
                f"INSERT INTO records ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 - constant column list
                (account, object_name, record_id, json.dumps(kept), now, now),
            )
            self._note(account, object_name, kept, created=1, updated=0)
        return Record(account, object_name, record_id, kept, now, now)

    def update(self, record: Record, fields: Mapping[str, Any]) -> Record:
        """Merge fields into a record; None takes a field out."""
        now = clock.seconds()
        merged = {k: v for k, v in {**record.fields, **fields}.items() if v is not None}
        with self._lock:
            self._db.execute(
                "UPDATE records SET fields = ?, updated_at = ? WHERE object = ? AND id = ?",
                (json.dumps(merged), now, record.object, record.id),
            )
            self._note(record.account, record.object, merged, created=0, updated=1)
        return Record(record.account, record.object, record.id, merged, record.created_at, now)

    def delete(self, object_name: str, record_id: str) -> None:
        """Forget a record; nothing happens when there is none."""
        with self._lock:
            self._db.execute(
                "DELETE FROM records WHERE object = ? AND id = ?", (object_name, record_id)
            )

    def get(self, object_name: str, record_id: str, *, account: str | None = None) -> Record | None:
        """Give a record by its id, of this account only when one is named."""
        rows = self._rows("object = ? AND id = ?", [object_name, record_id])
        return next((r for r in rows if account in {None, r.account}), None)

    def find(self, account: str, object_name: str, by: Mapping[str, Any]) -> list[Record]:
        """Give the records whose fields equal all of these values, oldest first."""
        where, values = ["account = ?", "object = ?"], [account, object_name]
        for field, value in by.items():
            where.append(f"{_path(field)} = ? COLLATE NOCASE")
            values.append(value)
        return self._rows(" AND ".join(where) + " ORDER BY seq", values)

    def find_any(
        self, account: str, object_name: str, field: str, values: Sequence[Any]
    ) -> list[Record]:
        """Give the records whose field equals any of these values, oldest first."""
        found: list[Record] = []
        column = "id" if field == "id" else f"{_path(field)} COLLATE NOCASE"
        for start in range(0, len(values), _MAX_VARIABLES):
            part = values[start : start + _MAX_VARIABLES]
            marks = ", ".join("?" * len(part))
            found += self._rows(
                f"account = ? AND object = ? AND {column} IN ({marks}) ORDER BY seq",
                [account, object_name, *part],
            )
        return found

    def newest(
        self,
        *,
        object_name: str | None = None,
        account: str | None = None,
        limit: int = 50,
        without: Collection[str] = (),
    ) -> list[Record]:
        """Give the records that arrived last, newest first; none of the objects in *without*."""
        where, values = [f"object NOT IN ({', '.join('?' * len(without))})"], list[Any](without)
        for column, value in (("object", object_name), ("account", account)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        return self._rows(" AND ".join(where) + " ORDER BY seq DESC LIMIT ?", [*values, limit])

    def scan(self, account: str, object_name: str) -> list[Record]:
        """Give every record of an object, oldest first."""
        return self._rows("account = ? AND object = ? ORDER BY seq", [account, object_name])

    def counts(self) -> dict[str, int]:
        """Give the number of records of each object."""
        with self._lock:
            rows = self._db.execute(
                "SELECT object, count(*) FROM records GROUP BY object"
            ).fetchall()
        return {str(name): int(number) for name, number in rows}

    def key_writes(self) -> tuple[int, int]:
        """Give how many records with a key were created, and how often such were updated."""
        with self._lock:
            row = self._db.execute(
                "SELECT coalesce(sum(created), 0), coalesce(sum(updated), 0) FROM key_writes"
            ).fetchone()
        return int(row[0]), int(row[1])

    def duplicate_keys(self) -> list[dict[str, Any]]:
        """List the keys for which more than one record was ever created; empty is what we want."""
        with self._lock:
            rows = self._db.execute(
                "SELECT account, object, key, created FROM key_writes WHERE created > 1"
            ).fetchall()
        return [
            dict(zip(("account", "object", "key", "created"), row, strict=True)) for row in rows
        ]

    def keep(self, kind: str, name: str, document: Mapping[str, Any]) -> None:
        """Keep a small document, such as a token, in place of an earlier one."""
        with self._lock:
            self._db.execute(
                "INSERT INTO kept VALUES (?, ?, ?) "
                "ON CONFLICT (kind, id) DO UPDATE SET document = excluded.document",
                (kind, name, json.dumps(document)),
            )

    def kept(self, kind: str, name: str) -> dict[str, Any] | None:
        """Give a kept document, or None."""
        with self._lock:
            row = self._db.execute(
                "SELECT document FROM kept WHERE kind = ? AND id = ?", (kind, name)
            ).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def all_kept(self, kind: str) -> dict[str, dict[str, Any]]:
        """Give all kept documents of a kind by their name."""
        with self._lock:
            rows = self._db.execute("SELECT id, document FROM kept WHERE kind = ?", (kind,))
            return {str(name): json.loads(document) for name, document in rows.fetchall()}

    def forget(self, kind: str, name: str) -> bool:
        """Drop a kept document; say whether there was one."""
        with self._lock:
            gone = self._db.execute("DELETE FROM kept WHERE kind = ? AND id = ?", (kind, name))
            return gone.rowcount > 0

    def add(self, kind: str, name: str, units: int = 1) -> int:
        """Add to a counter and give its new value."""
        with self._lock:
            row = self._db.execute(
                "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT (kind, id) "
                "DO UPDATE SET units = units + excluded.units RETURNING units",
                (kind, name, units),
            ).fetchone()
        return int(row[0])

    def counters(self, kind: str) -> dict[str, int]:
        """Give all counters of a kind."""
        with self._lock:
            rows = self._db.execute("SELECT id, units FROM counters WHERE kind = ?", (kind,))
            return {str(name): int(units) for name, units in rows.fetchall()}

    def drop_counters(self, kind: str, names: Sequence[str]) -> None:
        """Forget counters that no longer matter."""
        with self._lock:
            self._db.executemany(
                "DELETE FROM counters WHERE kind = ? AND id = ?", [(kind, name) for name in names]
            )

    def clear_records(self, objects: Sequence[str]) -> None:
        """Forget the records and key writes of these objects; all else stays."""
        with self.transaction():
            for table in ("records", "key_writes"):
                self._db.executemany(
                    f"DELETE FROM {table} WHERE object = ?",  # noqa: S608 - a name of our own
                    [(name,) for name in objects],
                )

    def _note(
        self,
        account: str,
        object_name: str,
        fields: Mapping[str, Any],
        *,
        created: int,
        updated: int,
    ) -> None:
        key = fields.get(self.key_field)
        if key is None:
            return
        self._db.execute(
            "INSERT INTO key_writes VALUES (?, ?, ?, ?, ?) ON CONFLICT (account, object, key) "
            "DO UPDATE SET created = created + excluded.created, "
            "updated = updated + excluded.updated",
            (account, object_name, str(key), created, updated),
        )

    def _rows(self, where: str, values: Sequence[Any]) -> list[Record]:
        with self._lock:
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM records WHERE {where}",  # noqa: S608 - built from constants and _path
                values,
            ).fetchall()
        return [Record(a, o, i, json.loads(f), c, u) for a, o, i, f, c, u in rows]


def _path(field: str) -> str:
    """Give the SQL expression of a field's value; refuses names that are not plain."""
    if not field.replace("_", "").replace(".", "").isalnum():
        message = f"not a field name: {field!r}"
        raise ValueError(message)
    return f"json_extract(fields, '$.\"{field}\"')"
