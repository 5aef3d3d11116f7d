"""Which errors a person can mend, and the sentence that says how."""

from __future__ import annotations

import sys

import click


class Refused(click.ClickException):
    """A setting or an argument is wrong, or something that is needed is not there: exit code 2."""

    exit_code = 2


class Failed(click.ClickException):
    """The job was tried and failed: exit code 1."""

    exit_code = 1


def explain(err: Exception) -> str | None:
    """Give the sentence for an error, or None when it is a defect that deserves its traceback."""
    from hub.settings import SettingsProblem

    if isinstance(err, SettingsProblem):
        return str(err)
    if isinstance(err, PermissionError) and err.filename:
        return f"{err.filename} cannot be used: permission denied."
    vault = sys.modules.get("hub.db.vault")  # nobody can have raised its errors otherwise
    if vault is not None and isinstance(err, vault.Unreadable):
        return str(err)
    return _of_database(err) or _of_redis(err)


def _of_database(err: Exception) -> str | None:
    sqlalchemy = sys.modules.get("sqlalchemy.exc")
    if sqlalchemy is None:
        return None
    if isinstance(err, sqlalchemy.ProgrammingError) and "does not exist" in str(err.orig):
        return "The database lacks tables of this version. Run: afterbeep migrate"
    if isinstance(err, sqlalchemy.OperationalError):
        reason = str(err.orig).strip().splitlines()[0] if err.orig else "no answer"
        return f"The database does not answer: {reason}. Check AFTERBEEP_DATABASE_URL."
    return None


def _of_redis(err: Exception) -> str | None:
    redis = sys.modules.get("redis")
    if redis is None or not isinstance(err, redis.RedisError):
        return None
    return f"Redis does not answer ({type(err).__name__}). Check AFTERBEEP_REDIS_URL."
