"""Checking and saving mappings."""

from __future__ import annotations

from hub.context import Hub
from mappings.document import load
from tests.api.calling import MAPPING, Program, connection_of
from tests.api.conftest import Mapped


def test_a_mapping_is_saved_and_followed(hub: Hub, caller: Program) -> None:
    """YAML or JSON; the first version is published at once."""
    connection_id = connection_of(hub, caller.tenant_id)
    body = {"connection_id": connection_id, "name": "Leads", "document": load(MAPPING)}

    answer = caller.send("/v1/mappings", body)

    assert answer.status_code == 201, answer.text
    mapping = answer.json["mapping"]
    assert answer.headers["Location"] == f"/v1/mappings/{mapping['id']}"
    assert (mapping["version"], mapping["document"]) == (1, load(MAPPING))
    assert load(mapping["yaml"]) == load(MAPPING)
    assert len(caller.deliveries(caller.take())) == 2


def test_a_mapping_with_an_error_is_not_saved(hub: Hub, caller: Program) -> None:
    """Every problem is named with its place in the body."""
    body = {
        "connection_id": connection_of(hub, caller.tenant_id),
        "name": "Leads",
        "yaml": MAPPING.replace("caller.company", "caller.firm").replace("id_of: lead", "id_of: x"),
    }

    answer = caller.send("/v1/mappings", body)

    assert answer.status_code == 422
    assert {fault["pointer"] for fault in answer.json["errors"]} >= {
        "/document/steps/0/set/Company/from",
        "/document/steps/1/set/WhoId/id_of",
    }
    assert caller.get("/v1/mappings").json["items"] == []


def test_a_check_saves_nothing(caller: Program) -> None:
    """Problems are the answer, not a refusal."""
    wrong = caller.send("/v1/mappings/check", {"yaml": "version: 2"})
    right = caller.send("/v1/mappings/check", {"yaml": MAPPING})

    assert (wrong.status_code, wrong.json["is_ok"]) == (200, False)
    assert "/version" in {problem["pointer"] for problem in wrong.json["problems"]}
    assert right.json["is_ok"] is True
    assert caller.get("/v1/mappings").json["items"] == []


def test_a_document_is_given_in_one_way(caller: Program) -> None:
    """Both or neither is refused."""
    both = {"yaml": MAPPING, "document": load(MAPPING)}

    assert caller.send("/v1/mappings/check", both).status_code == 422
    assert caller.send("/v1/mappings/check", {}).status_code == 422


def test_versions_are_kept_and_edits_do_not_overwrite_each_other(mapped: Mapped) -> None:
    """The second of two editors who began with the same version is told."""
    path = f"/v1/mappings/{mapped.mapping_id}"
    body = {
        "connection_id": mapped.connection_id,
        "name": "Leads",
        "yaml": MAPPING.replace("Unknown", "Somebody"),
        "note": "Better default",
        "expected_version": 1,
    }

    saved = mapped.caller.send(path, body, "PUT")
    late = mapped.caller.send(path, body, "PUT")

    assert saved.status_code == 200, saved.text
    assert saved.json["mapping"]["version"] == 2
    assert late.status_code == 409
    shown = mapped.caller.get(path).json
    assert [version["number"] for version in shown["versions"]] == [2, 1]
    assert shown["versions"][0]["note"] == "Better default"


def test_names_are_unique(hub: Hub, caller: Program) -> None:
    """A second mapping of the same name is a conflict."""
    body = {
        "connection_id": connection_of(hub, caller.tenant_id),
        "name": "Leads",
        "yaml": MAPPING,
    }
    caller.send("/v1/mappings", body)

    assert caller.send("/v1/mappings", body).status_code == 409


def test_a_connection_that_is_not_there_is_a_404(caller: Program) -> None:
    """In a body as in a path."""
    body = {"connection_id": f"con_{'0' * 26}", "name": "Leads", "yaml": MAPPING}

    assert caller.send("/v1/mappings", body).status_code == 404
    check = {"connection_id": body["connection_id"], "yaml": MAPPING}
    assert caller.send("/v1/mappings/check", check).status_code == 404
