"""What RQ is told of a drain that broke."""

from __future__ import annotations

import traceback

import pytest

from hub.delivery import jobs


def test_rq_learns_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """RQ logs an error and keeps it in Redis: it is given neither the words nor the cause of ours."""
    monkeypatch.setenv("AFTERBEEP_LOG_LEVEL", "Dana Whitfield")

    with pytest.raises(jobs.DrainFailed) as caught:
        jobs.drain("con_01jd3f6g7h8j9kamnbpcqdrset")

    told = "".join(traceback.format_exception(caught.value))
    assert "AFTERBEEP_LOG_LEVEL" not in told
    assert "Whitfield" not in told
