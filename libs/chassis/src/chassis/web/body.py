"""What comes in, before any use case sees it: bounded, readable, and nothing in it that PostgreSQL could not store."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json

from chassis.web.ids import BIGINT_MAX
from chassis.web.problems import FieldError, Problem, field_errors, invalid, malformed, pointer_to

T = TypeVar("T")


class Body(BaseModel):
    """A good base for request bodies: unknown members are errors (a misspelt one is not silently ignored), no coercion
    (`"12"`, `12.0` and `true` are no integers), no white space around texts."""

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True, frozen=True)


async def read_body(request: web.Request, limit: int) -> bytes:
    """The raw body as it was sent. Raises Problem 413 beyond `limit` bytes, 400 when it ends early."""
    if request.content_length is not None and request.content_length > limit:
        raise too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.content.iter_any():
            size += len(chunk)
            if size > limit:
                raise too_large(limit)
            chunks.append(chunk)
    except (web.RequestPayloadError, ConnectionError) as error:
        raise malformed("The body ended early or is not framed as its headers say.") from error
    return b"".join(chunks)


def too_large(limit: int) -> Problem:
    """413, with what would have been allowed."""
    return Problem(413, "The body is too large", f"At most {limit} bytes.", type="body-too-large", max_bytes=limit)


def require_json(request: web.Request) -> None:
    """Raises Problem 415 unless the body says that it is plain JSON: a browser form can then never pass for one."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Problem(415, "The body must not be compressed", type="compressed-body")
    kind = request.content_type
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise Problem(415, "The body must be JSON", f"Content-Type is {kind}, expected application/json.", type="not-json")
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise Problem(415, "The body must be UTF-8", type="not-json")


def parse_body(raw: bytes, adapter: TypeAdapter[T]) -> T:
    """The body as its model. Raises Problem 400 for no JSON or absurd nesting, 422 with the fields for what does not fit."""
    try:
        parsed = from_json(raw, allow_inf_nan=False) if raw else None
    except ValueError as error:  # also: nesting beyond the parser's limit of 200, numbers of thousands of digits, lone surrogates
        raise malformed(f"The body is not valid JSON: {error}") from None
    refuse_unstorable(parsed, "body")
    try:
        return adapter.validate_json(raw or b"null")
    except ValidationError as error:
        if not raw:
            raise malformed("A JSON body is needed.") from None
        raise invalid(field_errors(error, "body")) from None
    except RecursionError:
        raise malformed("The body is nested too deeply.") from None


def refuse_unstorable(value: Any, place: str) -> None:
    """Raises Problem 422 for NUL characters, integers beyond bigint and numbers that are not finite, anywhere in `value`.

    PostgreSQL refuses them; asking it would make an error of ours out of one of the caller's.
    """
    errors = list(_unstorable(value, place, ()))
    if errors:
        raise invalid(errors)


def _unstorable(value: Any, place: str, path: tuple[str | int, ...]) -> Iterator[FieldError]:
    if isinstance(value, str):
        if "\0" in value:
            yield FieldError(pointer=pointer_to(place, path), detail="Text must not contain the NUL character")
    elif isinstance(value, int):
        if not -BIGINT_MAX <= value <= BIGINT_MAX:
            yield FieldError(pointer=pointer_to(place, path), detail="Number is out of range (64 bits)")
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield FieldError(pointer=pointer_to(place, path), detail="Number must be finite")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if "\0" in key:
                yield FieldError(pointer=pointer_to(place, path), detail="Names must not contain the NUL character")
            yield from _unstorable(item, place, (*path, key))
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(value):
            yield from _unstorable(item, place, (*path, index))
