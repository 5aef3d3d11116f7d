"""The OpenAPI document: current, true, and good enough to generate a client from."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
import yaml
from flask import Flask
from hypothesis import HealthCheck, given, settings
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks
from werkzeug.serving import WSGIRequestHandler, make_server

from hub.api import new_app
from hub.api.__main__ import main
from hub.api.document import build
from hub.context import Hub
from tests.api.calling import TYPE, Program, data, event, program
from tests.conftest import new_company


@schemathesis.serializer("audio/wav", "audio/mpeg")
def _sound(_context: object, value: object) -> bytes:
    """Send what was made up for a sound as it is."""
    return value if isinstance(value, bytes) else str(value).encode()


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args) -> None:  # noqa: A002 - the base class names it
        """Write nothing."""


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """The application on a real port."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_committed_document_is_what_the_code_says(root: Path, capsys) -> None:
    """``make openapi`` has been run."""
    assert main(["--check", str(root / "openapi.yaml")]) == 0, capsys.readouterr().err


def test_a_document_that_is_not_current_is_reported(tmp_path: Path, capsys) -> None:
    """The check can fail."""
    old = tmp_path / "openapi.yaml"
    old.write_text("openapi: 3.1.0\n", encoding="utf-8")

    assert main(["--check", str(old)]) == 1
    assert "make openapi" in capsys.readouterr().err


def test_the_document_is_served_as_it_is_committed(app: Flask, root: Path) -> None:
    """As JSON and as YAML."""
    committed = yaml.safe_load((root / "openapi.yaml").read_text(encoding="utf-8"))
    client = app.test_client()

    assert client.get("/openapi.json").json == committed
    assert yaml.safe_load(client.get("/openapi.yaml").text) == committed


def test_every_reference_leads_somewhere(root: Path) -> None:
    """And every model is used."""
    text = (root / "openapi.yaml").read_text(encoding="utf-8")
    models = set(yaml.safe_load(text)["components"]["schemas"])
    named = {
        line.split("'")[1].removeprefix("#/components/schemas/")
        for line in text.splitlines()
        if "$ref:" in line
    }

    assert named == models


# What the generator says of data is not checked: JSON Schema cannot say all that we ask for (control
# characters, years, one of two members), and those are refused with 422 on purpose.
OPERATIONS = sorted(
    (method, path) for path, item in build(new_app(__name__))["paths"].items() for method in item
)
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def explorer(app: Flask, hub: Hub) -> Program:
    """A program in a company of its own, with rows to find."""
    made = program(app, hub, new_company(hub).tenant_id)
    made.take()
    return made


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_answers_are_what_the_document_says(
    app: Flask, explorer: Program, method: str, path: str
) -> None:
    """No failure of ours, and only documented answers, whatever is sent."""
    described = schemathesis.openapi.from_wsgi("/openapi.json", app)
    headers = {"Authorization": f"Bearer {explorer.key.secret}"}

    @given(case=described[path][method].as_strategy())
    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def explore(case) -> None:
        explorer.hub.redis.delete(f"rate:requests:{explorer.key.id}")
        case.validate_response(case.call(headers=headers), checks=CHECKS)

    explore()


@pytest.fixture
def generated(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A client that openapi-python-client made from the committed document; gives its package."""
    folder = tmp_path_factory.mktemp("generated")
    command = [
        *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
        *("--path", str(root / "openapi.yaml"), "--output-path", str(folder / "made_client")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield "made_client"
    sys.path.remove(str(folder))


def test_a_generated_client_posts_an_event(generated: str, address: str, caller: Program) -> None:
    """Typed from the request to the answer, over a real connection."""
    client_module = importlib.import_module(f"{generated}.client")
    post = importlib.import_module(f"{generated}.api.events.post_events")
    models = importlib.import_module(f"{generated}.models")
    client = client_module.AuthenticatedClient(base_url=address, token=caller.key.secret)

    with client as opened:
        taken = post.sync_detailed(client=opened, body=models.Event.from_dict(event("generated")))

    assert taken.status_code == 202, taken.content
    assert isinstance(taken.parsed, models.TakenEvent)
    assert taken.parsed.status == "accepted"
    found = caller.get("/v1/events", event_id="generated").json["items"]
    assert [item["id"] for item in found] == [taken.parsed.id]


def test_an_example_of_the_published_schema_is_taken(caller: Program) -> None:
    """The schema's own examples make an event that the API accepts."""
    schema = json.loads(caller.client.get(f"/v1/schemas/{TYPE}").data)
    members = {
        name: shown["examples"][0]
        for name, shown in schema["properties"].items()
        if "examples" in shown
    }

    assert caller.post(members | {"data": data()}).status_code == 202
