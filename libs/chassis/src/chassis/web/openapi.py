"""The OpenAPI 3.1 document of a service, made from its table of routes and the signatures behind it."""

import inspect
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Literal

from pydantic import TypeAdapter

from chassis.web.binding import BoundRoute
from chassis.web.idempotency import KEY_HEADER
from chassis.web.problems import PROBLEM_JSON, ProblemDocument
from chassis.web.roles import Public

JsonObject = dict[str, Any]
_Part = tuple[int, str]
"""Which part of which route a schema belongs to: (index, "body" | "answer" | "query" | "path name")."""

PROBLEM: _Part = (-1, "problem")

OPENAPI_VERSION = "3.1.0"
API_VERSION = "1"

KEY_DESCRIPTION = "Repeat a request with its key and get its first answer; the key with another request is a 409."
SHOWN_ONCE_DESCRIPTION = (
    "A request repeated with its key is not done again. Its answer holds a secret and is shown once: a repeat is a 409 that says"
    " how to get a new one."
)


def document(title: str, routes: Sequence[BoundRoute], mapped_statuses: Iterable[int]) -> JsonObject:
    """The document. `mapped_statuses` are what domain exceptions become. Raises ValueError for two operations of one name."""
    shown = [bound for bound in routes if not bound.route.hidden]
    names = [bound.operation_id for bound in shown]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValueError(f"operationIds must be unique, these are not: {sorted(repeated)}; rename the functions")
    schemas, definitions = _schemas(shown)
    paths: dict[str, JsonObject] = {}
    for index, bound in enumerate(shown):
        path = paths.setdefault(bound.route.path, {})
        path[bound.route.method.lower()] = _operation(index, bound, schemas, definitions, sorted(set(mapped_statuses)))
    for index, bound in enumerate(shown):
        if bound.query is not None:  # shown as parameters, so its schema stands for nothing in the components
            definitions.pop(schemas[index, "query"].get("$ref", "").rpartition("/")[2], None)
    statuses = sorted(
        {int(status) for path in paths.values() for operation in path.values() for status in operation["responses"]}
    )
    return {
        "openapi": OPENAPI_VERSION,
        "info": {"title": title, "version": API_VERSION},
        "paths": paths,
        "components": {
            "schemas": definitions,
            "responses": {
                f"Problem{status}": _problem_response(status, schemas[PROBLEM]) for status in statuses if status >= 400
            },
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _schemas(routes: Sequence[BoundRoute]) -> tuple[dict[_Part, JsonObject], dict[str, JsonObject]]:
    """One run over all models, so that models of one name in two modules get names of their own."""
    inputs: list[tuple[_Part, Literal["validation", "serialization"], TypeAdapter[Any]]] = []
    for index, bound in enumerate(routes):
        for name, adapter in bound.path.items():
            inputs.append(((index, f"path {name}"), "validation", adapter))
        if bound.query is not None:
            inputs.append(((index, "query"), "validation", TypeAdapter(bound.query)))
        if bound.body is not None:
            inputs.append(((index, "body"), "validation", bound.body))
        if bound.answer is not None:
            inputs.append(((index, "answer"), "serialization", bound.answer))
    inputs.append((PROBLEM, "serialization", TypeAdapter(ProblemDocument)))
    by_part, rest = TypeAdapter.json_schemas(inputs, ref_template="#/components/schemas/{model}")
    return {part: schema for (part, _mode), schema in by_part.items()}, rest.get("$defs", {})


def _operation(
    index: int, bound: BoundRoute, schemas: dict[_Part, JsonObject], definitions: dict[str, JsonObject], mapped: Sequence[int]
) -> JsonObject:
    route = bound.route
    parameters: list[JsonObject] = [
        {"name": name, "in": "path", "required": True, "schema": schemas[index, f"path {name}"]} for name in bound.path
    ]
    if bound.query is not None:
        parameters.extend(_query_parameters(schemas[index, "query"], definitions))
    if bound.takes_key:
        parameters.append(
            {
                "name": KEY_HEADER,
                "in": "header",
                "required": False,
                "description": SHOWN_ONCE_DESCRIPTION if route.shown_once else KEY_DESCRIPTION,
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            }
        )
    operation: JsonObject = {
        "operationId": bound.operation_id,
        "tags": [_tag(route.path)],
        "summary": route.summary or bound.operation_id.replace("_", " ").capitalize(),
        "responses": {str(bound.status): _success(bound, schemas.get((index, "answer")))},
    }
    description = inspect.getdoc(route.function)
    if description:
        operation["description"] = description
    if parameters:
        operation["parameters"] = parameters
    if bound.body is not None:
        schema = schemas[index, "body"]
        needed = {"type": "null"} not in schema.get("anyOf", ())  # `body: Model | None`: it may be left out
        operation["requestBody"] = {"required": needed, "content": {"application/json": {"schema": schema}}}
    for status in _problem_statuses(bound, mapped):
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    if isinstance(route.roles, Public):
        operation["security"] = []
        operation["x-roles"] = ["public"]
    else:
        operation["security"] = [{"bearer": []}]
        operation["x-roles"] = sorted(role.value for role in route.roles)
    return operation


def _query_parameters(schema: JsonObject, definitions: dict[str, JsonObject]) -> list[JsonObject]:
    model = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    required = model.get("required", [])
    parameters = []
    for name, field in model.get("properties", {}).items():
        parameter: JsonObject = {"name": name, "in": "query", "required": name in required, "schema": field}
        if "description" in field:
            parameter["description"] = field["description"]
        parameters.append(parameter)
    return parameters


def _problem_statuses(bound: BoundRoute, mapped: Sequence[int]) -> list[int]:
    statuses = {500, 503, *mapped}
    if not isinstance(bound.route.roles, Public):
        statuses |= {401, 403}
    if bound.path or bound.query is not None:
        statuses.add(422)
    if bound.path:
        statuses.add(404)
    if bound.body is not None:
        statuses |= {400, 413, 415, 422}
    if bound.takes_key:
        statuses |= {409, 422}
    return sorted(statuses)


def _success(bound: BoundRoute, schema: JsonObject | None) -> JsonObject:
    response: JsonObject = {"description": HTTPStatus(bound.status).phrase}
    if schema is not None:
        response["content"] = {"application/json": {"schema": schema}}
    return response


def _problem_response(status: int, schema: JsonObject) -> JsonObject:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM_JSON: {"schema": schema}},
    }


def _tag(path: str) -> str:
    """`/v1/stations/{station_id}` → `stations`."""
    steps = [step for step in path.split("/") if step and step != "v1"]
    return steps[0] if steps else "root"
