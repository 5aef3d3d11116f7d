"""Posts events to a hub over HTTP, as any other client does: in batches, patiently, safe to repeat."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

import httpx

from mappings.event import EVENT_TYPE

BATCH = 100
_BATCH_TYPE = "application/cloudevents-batch+json"
_TRIES = 8
_LONGEST_WAIT_S = 60.0
_REFUSED = (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)


class Unanswered(Exception):
    """The hub does not answer or does not let us in; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of one event: its sender's id, ``accepted``, ``known``, ``conflict`` or ``invalid``, and why."""

    event_id: str
    status: str
    id: str | None
    problem: str | None = None


def envelope(document: Mapping[str, Any], *, source: str, at: str | None = None) -> dict[str, Any]:
    """Give the CloudEvent of what ``afterbeep analyse`` writes; a CloudEvent is passed through.

    ``at`` is the time of the event (ISO 8601 with offset). Raises ValueError when there is no id.
    """
    if "specversion" in document:
        return dict(document)
    rest = dict(document)
    name = rest.pop("id", None)
    if not name:
        raise ValueError("a line has no id")
    made: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(name),
        "source": source,
        "type": EVENT_TYPE,
        "data": rest,
    }
    if at:
        made["time"] = at
    return made


class Poster:
    """A client of one hub. Use it as a context manager."""

    def __init__(self, url: str, key: str, *, timeout_s: float = 30.0) -> None:
        """Talk to the hub at ``url`` with an API key."""
        self._url = f"{url.rstrip('/')}/v1/events"
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {key}", "Content-Type": _BATCH_TYPE},
            timeout=timeout_s,
        )

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the connections."""
        self._http.close()

    def post_all(self, envelopes: Sequence[Mapping[str, Any]]) -> Iterator[Posted]:
        """Post all, a hundred at a time; gives an answer for each, in their order. Raises Unanswered."""
        for start in range(0, len(envelopes), BATCH):
            yield from self.post(envelopes[start : start + BATCH])

    def post(self, envelopes: Sequence[Mapping[str, Any]]) -> list[Posted]:
        """Post up to a hundred events; gives an answer for each. Raises Unanswered."""
        document = self._ask([dict(one) for one in envelopes])
        results = document.get("results")
        if not isinstance(results, list) or len(results) != len(envelopes):
            raise Unanswered(f"{self._url} refused: {_words(document)}")
        return [
            Posted(
                event_id=str(sent.get("id")),
                status=str(result["status"]),
                id=result.get("id"),
                problem="; ".join(
                    f"{error.get('pointer') or ''} {error['detail']}".strip()
                    for error in result.get("errors") or ()
                )
                or None,
            )
            for sent, result in zip(envelopes, results, strict=True)
        ]

    def _ask(self, body: list[dict[str, Any]]) -> dict[str, Any]:
        for number in range(_TRIES):
            wait_s = min(_LONGEST_WAIT_S, 0.25 * 2**number)
            try:
                answer = self._http.post(self._url, json=body)
            except httpx.HTTPError as err:
                if number == _TRIES - 1 or isinstance(err, httpx.ConnectError):
                    raise Unanswered(
                        f"{self._url} does not answer ({type(err).__name__})."
                    ) from err
                time.sleep(wait_s)
                continue
            is_later = (
                answer.status_code == HTTPStatus.TOO_MANY_REQUESTS
                or answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
            )
            if not is_later or number == _TRIES - 1:
                return self._read(answer)
            asked = answer.headers.get("Retry-After", "")
            time.sleep(min(_LONGEST_WAIT_S, float(asked)) if asked.isdigit() else wait_s)
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _read(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            document = answer.json()
        except ValueError as err:
            raise Unanswered(
                f"{self._url} answered {answer.status_code} without JSON. Is this a hub's address?"
            ) from err
        if not isinstance(document, dict) or (
            answer.is_error and answer.status_code not in _REFUSED
        ):
            raise Unanswered(f"{self._url} refused ({answer.status_code}): {_words(document)}")
        return document


def _words(document: Any) -> str:
    if isinstance(document, dict):
        return str(document.get("detail") or document.get("title") or "no reason given")
    return "no reason given"
