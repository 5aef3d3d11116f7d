"""Calls one org's REST API through simple-salesforce, and turns its failures into our errors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import requests

from connectors.errors import ContractBroken
from connectors.http import READ_METHODS, Transport
from connectors.record import Account
from connectors.salesforce.refusals import refused_request

if TYPE_CHECKING:
    from simple_salesforce.api import Salesforce as Client

#: The one place that names the version of the REST API. Winter '25; versions live at least three years.
# Source: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/api_rest_eol.htm (2026-11-22)
API_VERSION = "62.0"
#: More than this many pages of a query are not read: 10,000 records answer no sensible question.
_MAX_PAGES = 5


def cost_of(request: requests.PreparedRequest) -> Mapping[str, int]:
    """Every request is one of the org's API calls, whatever it holds."""
    del request
    return {"requests": 1}


class Calls:
    """The calls that one use of an account makes."""

    def __init__(self, transport: Transport, account: Account) -> None:
        """Make calls for this account, through open connections where there are."""
        self._session = transport.session(account)
        self._account = account
        #: Those of the last answer, names in lower case.
        self.answer_headers: Mapping[str, str] = {}
        self._session.hooks["response"].append(self._remember)

    def _remember(self, answer: requests.Response, **_: Any) -> None:
        # The SDK's exceptions have no headers, and an error may say when to come again.
        self.answer_headers = {name.lower(): value for name, value in answer.headers.items()}

    @cached_property
    def _client(self) -> Client:
        # The SDK brings a SOAP stack with it, which takes a while to load.
        from simple_salesforce.api import Salesforce as Client  # noqa: PLC0415

        base = self._account.base_url.rstrip("/")
        client = Client(
            instance_url=base,
            session_id=self._account.token,
            session=self._session,
            version=API_VERSION,
            object_pairs_hook=dict,
        )
        # The SDK keeps host and port only and writes https before them; a sandbox speaks http.
        client.headers.pop("X-PrettyPrint", None)
        client.base_url = f"{base}/services/data/v{API_VERSION}/"
        client.oauth2_url = f"{base}/services/oauth2/"
        return client

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Read a resource below ``/services/data/vXX.X/``."""
        return self._call("GET", path, params=dict(params) if params else None)

    def write(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """Send a body to a resource below ``/services/data/vXX.X/``."""
        return self._call(method, path, data=json.dumps(body))

    def query(self, soql: str) -> Iterator[Mapping[str, Any]]:
        """Give the records that answer a query, page after page."""
        answer = self.get("query", {"q": soql})
        for _ in range(_MAX_PAGES):
            yield from records_of(answer)
            more = answer.get("nextRecordsUrl")
            if answer.get("done", True) or not isinstance(more, str):
                return
            answer = self.get(f"query/{more.rpartition('/')[2]}")

    def user(self) -> Mapping[str, Any]:
        """Give the user whose access we have."""
        answer = self._call("GET", "userinfo", is_oauth=True)
        if not isinstance(answer, Mapping):
            raise ContractBroken("Salesforce did not say whose access we have.")
        return answer

    def upload(self, path: str, table: bytes) -> None:
        """Send a CSV table to a resource below ``/services/data/vXX.X/``."""
        with self._told(is_write=True):
            headers = {"Content-Type": "text/csv; charset=UTF-8"}
            answer = self._send("PUT", path, headers, data=table)
        if answer.status_code != requests.codes.created:
            raise ContractBroken("Salesforce did not say that it has the table.", code="not_taken")

    def download(self, path: str) -> bytes:
        """Read a CSV table, in UTF-8, from a resource below ``/services/data/vXX.X/``."""
        with self._told(is_write=False):
            return self._send("GET", path, {"Accept": "text/csv"}).content

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], **parts: Any
    ) -> requests.Response:
        # What the SDK's own methods for bulk jobs stand on. Those guess the encoding of a table, and sleep.
        from simple_salesforce.util import call_salesforce  # noqa: PLC0415

        client = self._client
        whole = {**client.headers, **headers}
        return call_salesforce(client.base_url + path, method, self._session, whole, **parts)

    def _call(self, method: str, path: str, *, is_oauth: bool = False, **parts: Any) -> Any:
        send = self._client.oauth2 if is_oauth else self._client.restful
        with self._told(is_write=method not in READ_METHODS):
            return send(path, method=method, **parts)

    @contextmanager
    def _told(self, *, is_write: bool) -> Iterator[None]:
        """Turn what the SDK raises into the error that says what happens next."""
        from simple_salesforce.exceptions import SalesforceError  # noqa: PLC0415

        try:
            yield
        except SalesforceError as err:
            raise refused_request(
                err.status, err.content, self.answer_headers, is_write=is_write
            ) from err
        except requests.exceptions.InvalidSchema as err:
            raise ContractBroken("Salesforce's SDK tried to call another host.") from err
        except ValueError as err:
            # What the SDK lets through when the body of a good answer is not JSON.
            raise ContractBroken(
                "Salesforce answered something that is not JSON.", code="not_json"
            ) from err


def records_of(answer: Any) -> Sequence[Mapping[str, Any]]:
    """Give the records of a query's answer; raises ContractBroken when there is no list."""
    records = answer.get("records") if isinstance(answer, Mapping) else None
    if not isinstance(records, list):
        raise ContractBroken("Salesforce answered a query without records.")
    return records
