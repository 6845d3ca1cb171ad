"""Understands a use case's signature once, at start-up: a wrong one stops the service there and says why."""

import inspect
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from chassis.web.body import parse_body, read_body, refuse_unstorable, require_json
from chassis.web.principal import Principal
from chassis.web.problems import FieldError, field_errors, invalid, pointer_to
from chassis.web.roles import PUBLIC
from chassis.web.route import Answer, Route

METHODS_THAT_CHANGE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
METHODS = METHODS_THAT_CHANGE | {"GET"}

_PLACEHOLDER = re.compile(r"\{([a-z_]+)(?::[^{}]+)?\}")


class WrongRoute(TypeError):
    """A route and its function do not fit together. Raised when the web server is made."""

    def __init__(self, route: Route, reason: str) -> None:
        name = getattr(route.function, "__qualname__", repr(route.function))
        super().__init__(f"{route.method} {route.path} → {name}: {reason}")


@dataclass(frozen=True, slots=True)
class BoundRoute:
    """A route whose every parameter has a source and whose answer has a schema."""

    route: Route
    operation_id: str
    path: Mapping[str, TypeAdapter[Any]]
    query: type[BaseModel] | None
    query_lists: frozenset[str]
    body: TypeAdapter[Any] | None
    answer: TypeAdapter[Any] | None
    """None: no body (204) or a stream."""
    streams: bool
    plain: frozenset[str]
    """Which of app, uow, request, principal it takes."""
    principal_optional: bool

    @property
    def changes(self) -> bool:
        """Whether it is a mutation."""
        return self.route.method in METHODS_THAT_CHANGE

    @property
    def takes_key(self) -> bool:
        """Whether it honours Idempotency-Key: mutations of a known caller with an answer that can be stored and given again."""
        return self.changes and self.route.roles is not PUBLIC and not self.streams and "request" not in self.plain

    @property
    def status(self) -> int:
        """The status of success."""
        return 204 if self.answer is None and not self.streams and self.route.status == 200 else self.route.status

    async def read(self, request: web.Request) -> tuple[dict[str, Any], bytes]:
        """Arguments from path, query and body, and the raw body. Raises Problem 400, 413, 415 or 422."""
        arguments: dict[str, Any] = {}
        errors: list[FieldError] = []
        for name, adapter in self.path.items():
            try:
                arguments[name] = adapter.validate_python(request.match_info[name])
            except ValidationError as error:
                errors.extend(field_errors(error, "path/" + name))
        if self.query is not None:
            try:
                arguments["query"] = self.query.model_validate(self._query_values(request))
            except ValidationError as error:
                errors.extend(field_errors(error, "query"))
        if errors:
            raise invalid(errors)
        refuse_unstorable({name: arguments[name] for name in self.path}, "path")
        if "query" in arguments:
            refuse_unstorable(dict(arguments["query"]), "query")
        if "request" in self.plain:
            return arguments, b""
        raw = await read_body(request, self.route.max_body_bytes)
        if self.body is not None:
            if raw:
                require_json(request)
            arguments["body"] = parse_body(raw, self.body)
        return arguments, raw

    def _query_values(self, request: web.Request) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name in request.query:
            given = request.query.getall(name)
            if name not in self.query_lists and len(given) > 1:
                raise invalid([FieldError(pointer=pointer_to("query", [name]), detail="Given more than once")])
            values[name] = given if name in self.query_lists else given[0]
        return values

    def render(self, result: Any) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and JSON of what the function returned."""
        status, headers = self.status, {}
        if isinstance(result, Answer):
            status, headers, result = result.status or status, dict(result.headers), result.body
        if self.answer is None:
            return status, headers, b""
        return status, headers, self.answer.dump_json(result, by_alias=True, warnings="error")


def bind(route: Route) -> BoundRoute:
    """Raises WrongRoute when the signature does not fit the path, or names something that nobody provides."""
    if route.method not in METHODS:
        raise WrongRoute(route, f"the method must be one of {', '.join(sorted(METHODS))}")
    if not inspect.iscoroutinefunction(route.function):
        raise WrongRoute(route, "the function must be async")
    try:
        hints = typing.get_type_hints(route.function, include_extras=True)
    except NameError as error:
        raise WrongRoute(route, f"an annotation cannot be resolved: {error}") from error
    placeholders = _PLACEHOLDER.findall(route.path)
    path: dict[str, TypeAdapter[Any]] = {}
    query: type[BaseModel] | None = None
    body: TypeAdapter[Any] | None = None
    plain: set[str] = set()
    principal_optional = False
    for name, parameter in inspect.signature(route.function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise WrongRoute(route, f"parameter {name!r} must be an ordinary one that can be passed by name")
        if name not in hints:
            raise WrongRoute(route, f"parameter {name!r} has no annotation")
        annotation = hints[name]
        if name in placeholders:
            path[name] = _adapter(route, name, annotation)
        elif name in ("app", "uow", "request"):
            plain.add(name)
        elif name == "principal":
            if annotation not in (Principal, Principal | None):
                raise WrongRoute(route, "parameter 'principal' must be annotated Principal")
            principal_optional = annotation != Principal
            plain.add(name)
        elif name == "query":
            if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
                raise WrongRoute(route, "parameter 'query' must be a pydantic model")
            query = annotation
        elif name == "body":
            if route.method not in METHODS_THAT_CHANGE:
                raise WrongRoute(route, f"{route.method} requests have no body")
            body = _adapter(route, name, annotation)
        else:
            available = ", ".join(["app", "uow", "body", "query", "principal", "request", *placeholders])
            raise WrongRoute(route, f"nobody provides parameter {name!r}; there are: {available}")
    missing = set(placeholders) - path.keys()
    if missing:
        raise WrongRoute(route, f"the path has {sorted(missing)}, the function does not take it")
    if "principal" in plain and route.roles is PUBLIC and not principal_optional:
        raise WrongRoute(route, "a PUBLIC route may have no caller: annotate `principal: Principal | None`")
    if "request" in plain and body is not None:
        raise WrongRoute(route, "takes both 'body' and 'request': the body can be read once")
    if "return" not in hints:
        raise WrongRoute(route, "has no return annotation: it is the answer's schema")
    answer, streams = _answer(route, hints["return"])
    lists = frozenset(name for name, field in query.model_fields.items() if _is_list(field.annotation)) if query else frozenset()
    return BoundRoute(
        route=route,
        operation_id=str(getattr(route.function, "__name__", "")),
        path=path,
        query=query,
        query_lists=lists,
        body=body,
        answer=answer,
        streams=streams,
        plain=frozenset(plain),
        principal_optional=principal_optional,
    )


def _answer(route: Route, annotation: Any) -> tuple[TypeAdapter[Any] | None, bool]:
    if typing.get_origin(annotation) is Answer:
        annotation = typing.get_args(annotation)[0]
    if annotation is None or annotation is types.NoneType:
        return None, False
    members = typing.get_args(annotation) if typing.get_origin(annotation) in (typing.Union, types.UnionType) else (annotation,)
    models = [member for member in members if not (isinstance(member, type) and issubclass(member, web.StreamResponse))]
    if not models:
        return None, True
    streams = len(models) < len(members)
    return _adapter(route, "return", models[0] if len(models) == 1 else typing.Union[tuple(models)]), streams  # noqa: UP007


def _adapter(route: Route, name: str, annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation)
    except PydanticSchemaGenerationError as error:
        raise WrongRoute(route, f"pydantic cannot make a schema of {name!r}: {error}") from error


def _is_list(annotation: Any) -> bool:
    if typing.get_origin(annotation) in (list, tuple, set, frozenset):
        return True
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        return any(_is_list(member) for member in typing.get_args(annotation))
    return False
