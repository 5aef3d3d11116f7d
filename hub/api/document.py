"""The OpenAPI document, made from the code; ``python -m hub.api`` writes it."""

from __future__ import annotations

import json
from typing import Any, Final

import yaml
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from hub.api import edge
from hub.api.connections import ChangedConnection
from hub.api.deliveries import Choice, ReplayMany, ReplayOne
from hub.api.mappings import ChangedMapping, CheckedDraft, NewMapping
from hub.api.outcomes import NewPageVerdict
from hub.api.playbook import SetUp
from hub.api.replays import NewReplay
from hub.api.telephone import ChangedVoiceSettings, NewPhoneNumber
from hub.api.voice import UsedTools
from hub.api.webhooks import ChangedWebhook, NewWebhook

_BODIES: Final[tuple[type[BaseModel], ...]] = (
    Choice,
    ReplayMany,
    ReplayOne,
    ChangedConnection,
    ChangedMapping,
    CheckedDraft,
    NewMapping,
    NewPageVerdict,
    NewReplay,
    SetUp,
    ChangedVoiceSettings,
    NewPhoneNumber,
    UsedTools,
    ChangedWebhook,
    NewWebhook,
)
_LIBRARY_MODEL: Final = "ValidationErrorModel"
_KEPT: Final = "afterbeep.document"


def build(app: OpenAPI) -> dict[str, Any]:
    """Give the document of an application's operations as plain JSON values."""
    found: dict[str, Any] = json.loads(json.dumps(app.api_doc))
    for item in found["paths"].values():
        for operation in item.values():
            _tidy(operation)
    # The library knows only a part of JSON Schema's words, so the models are written here.
    found["components"]["schemas"] = _models()
    found["paths"] = dict(sorted(found["paths"].items()))
    return found


def as_json(app: OpenAPI) -> str:
    """Give the document as JSON, made once per application."""
    return json.dumps(_built(app), ensure_ascii=False)


def as_yaml(app: OpenAPI) -> str:
    """Give the document as YAML, as it is committed."""
    text: str = yaml.safe_dump(_built(app), sort_keys=False, allow_unicode=True, width=100)
    return text


def _built(app: OpenAPI) -> dict[str, Any]:
    found: dict[str, Any] = app.extensions.get(_KEPT) or build(app)
    app.extensions[_KEPT] = found
    return found


def _models() -> dict[str, Any]:
    models = {model.__name__: model for model in (*edge.MODELS.values(), *_BODIES)}
    _, schema = models_json_schema(
        [(model, "validation") for _, model in sorted(models.items())],
        ref_template="#/components/schemas/{model}",
    )
    return dict(sorted(schema["$defs"].items()))


def _tidy(operation: dict[str, Any]) -> None:
    for status, response in list(operation["responses"].items()):
        if _LIBRARY_MODEL in json.dumps(response):
            del operation["responses"][status]  # the library adds its own answer where we give none
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Say that a parameter may be left out by leaving it out: there is no null in a URL."""
    choices = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(choices) == 1:
        schema = {**{key: schema[key] for key in schema if key != "anyOf"}, **choices[0]}
    if schema.get("default", 0) is None:
        del schema["default"]
    schema.pop("title", None)
    schema.pop("description", None)  # the parameter has it
    return schema
