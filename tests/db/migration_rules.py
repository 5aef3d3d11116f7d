"""Reads what a migration would do, and says what in it a running hub of the last release would not survive.

A migration that only adds is fine for both releases. One that takes away (``PHASE = "contract"`` in its module) belongs
into a release after the one that stopped using it, and says so by ``needs_code_of``.
"""

from __future__ import annotations

import io
import re
from types import ModuleType

from alembic.migration import MigrationContext
from alembic.operations import Operations

_NAME = r'"?(?P<table>[a-z_]+)"?'
#: What takes something away that the last release uses.
_TAKES = (
    r"DROP TABLE",
    r"DROP COLUMN",
    r"RENAME",
    r"DROP DEFAULT",
    r"ALTER COLUMN \S+ (SET DATA )?TYPE",
    r"SET NOT NULL",
)


def statements(module: ModuleType) -> list[str]:
    """Give the SQL of a migration, statement by statement."""
    buffer = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": buffer}
    )
    with Operations.context(context):
        module.upgrade()
    found = (re.sub(r"\s+", " ", one).strip() for one in buffer.getvalue().split(";"))
    return [one for one in found if one and one not in {"BEGIN", "COMMIT"}]


def problems(module: ModuleType) -> list[str]:
    """Say what is wrong with a migration, each with its statement."""
    found = statements(module)
    is_contract = getattr(module, "PHASE", "expand") == "contract"
    new = {
        match["table"]
        for one in found
        if (match := re.match(rf"CREATE TABLE {_NAME}", one, re.IGNORECASE))
    }
    wrong = [f"{why}: {one}" for one in found for why in _wrong(one, new, is_contract=is_contract)]
    beside = [one for one in found if "CONCURRENTLY" in one.upper()]
    others = [one for one in found if one not in beside and not one.upper().startswith("SET ")]
    if beside and others:
        wrong.append(f"what is made beside writers has a migration of its own: {others[0]}")
    if is_contract and not any("needs code of" in one for one in found):
        wrong.append("what takes away says which code it needs, by needs_code_of")
    return wrong


def _wrong(statement: str, new: set[str], *, is_contract: bool) -> list[str]:
    text = statement.upper()
    table = re.match(rf"ALTER TABLE (IF EXISTS )?(ONLY )?{_NAME}", statement, re.IGNORECASE)
    if (table and table["table"] in new) or re.search(
        r"\bON \"?(" + "|".join(new or {"-"}) + r")\b", statement
    ):
        return []
    found = []
    if not is_contract and any(re.search(one, text) for one in _TAKES):
        found.append("takes away what the last release uses")
    if "ADD COLUMN" in text and "NOT NULL" in text and "DEFAULT" not in text:
        found.append("the last release writes no such column: it needs a default")
    if (
        re.search(r"ADD CONSTRAINT|ADD (FOREIGN|CHECK|UNIQUE|PRIMARY)", text)
        and "NOT VALID" not in text
    ):
        found.append("checks all rows under a lock: add it NOT VALID and validate it later")
    if re.match(r"CREATE (UNIQUE )?INDEX", text) and "CONCURRENTLY IF NOT EXISTS" not in text:
        found.append("locks out writers: make it concurrently, if not exists")
    if text.startswith("DROP INDEX") and "CONCURRENTLY IF EXISTS" not in text:
        found.append("locks out everybody: drop it concurrently, if exists")
    if re.match(r"UPDATE|DELETE", text):
        found.append("changes rows under locks: let the code do it, piece by piece")
    return found
