"""The OpenAPI 3.1 document, made from the route table and the shapes."""

from __future__ import annotations

import re
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from dashboards.board import shapes
from dashboards.board.routes import ROUTES, Spec

__all__ = ["document"]

_REF: Final = "#/components/schemas/{model}"
_STATUS: Final = {
    401: "Log in first.",
    403: "Not allowed.",
    404: "There is no such thing.",
    409: "Not possible as things are.",
    413: "Body too long.",
    415: "Not JSON.",
    422: "Not understood.",
    429: "Too many tries.",
    500: "An error of the board.",
}


def document(version: str) -> dict[str, Any]:
    """The whole document; every route of the table is a path of it.

    Args:
        version: Version of linetwin.
    """
    models = [
        model
        for name in shapes.__all__
        if isinstance(model := getattr(shapes, name), type) and issubclass(model, BaseModel)
    ]
    _, schema = models_json_schema([(m, "serialization") for m in models], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for spec in ROUTES:
        paths.setdefault(spec.path, {})[spec.method.lower()] = _operation(spec)
    return {
        "openapi": "3.1.0",
        "info": {"title": "linetwin board", "version": version},
        "paths": paths,
        "components": {
            "schemas": schema["$defs"],
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "linetwin_<port>"}
            },
        },
    }


def _operation(spec: Spec) -> dict[str, Any]:
    answers: dict[str, Any] = {"200": {"description": "Good.", "content": _content(spec.answer)}}
    always = (500,) if spec.access == "open" else (401, 403, 500)
    for status in sorted({*always, *spec.errors}):
        answers[str(status)] = {
            "description": _STATUS[status],
            "content": {"application/problem+json": {"schema": _schema(shapes.Problem)}},
        }
    operation: dict[str, Any] = {
        "operationId": spec.handler,
        "summary": spec.summary,
        "parameters": [
            *(_parameter(name, "path", "") for name in re.findall(r"\{(\w+)\}", spec.path)),
            *(_parameter(name, "query", text) for name, text in spec.query.items()),
        ],
        "responses": answers,
        "x-right": spec.access,
    }
    if spec.method == "POST":
        operation["parameters"].append(_parameter("X-CSRF-Token", "header", "from /api/session"))
    if spec.access != "open":
        operation["security"] = (
            [{"session": []}] if spec.access != "view" else [{"session": []}, {}]
        )
    if spec.takes is not None:
        operation["requestBody"] = {"required": True, "content": _content(spec.takes)}
    return operation


def _parameter(name: str, place: str, text: str) -> dict[str, Any]:
    data = {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}
    return data | ({"description": text} if text else {})


def _content(shape: Any) -> dict[str, Any]:
    return (
        {shape: {}} if isinstance(shape, str) else {"application/json": {"schema": _schema(shape)}}
    )


def _schema(shape: Any) -> dict[str, Any]:
    if inside := get_args(shape):
        return {"type": "array", "items": _schema(inside[0])}
    return {"$ref": _REF.format(model=shape.__name__)}
