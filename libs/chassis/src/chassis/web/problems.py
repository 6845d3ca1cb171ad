"""Errors as RFC 9457 problem documents: what went wrong, in which field, and nothing of our insides."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

PROBLEM_JSON = "application/problem+json"

# A body of 256 KiB can hold thousands of wrong fields; the first ones are enough to mend it.
MAX_FIELD_ERRORS = 50

# A value that a client sent is told back in part only.
MAX_DETAIL_CHARACTERS = 500


class FieldError(BaseModel):
    """One reason, and the place it is about."""

    pointer: str = Field(
        description="JSON pointer as a fragment; its first step is body, query, path or header",
        examples=["#/body/tariff_paise_per_kwh"],
    )
    detail: str = Field(description="what is wrong there", examples=["Input should be greater than 0"])


class ProblemDocument(BaseModel):
    """RFC 9457. Further members may be present, depending on the type."""

    model_config = ConfigDict(extra="allow", title="Problem")

    type: str = Field("about:blank", description="names the kind of problem; about:blank: the status says it all")
    title: str = Field(description="the kind of problem in words, the same each time")
    status: Annotated[int, Field(ge=400, le=599, description="the HTTP status")]
    detail: str | None = Field(None, description="what happened this time")
    instance: str | None = Field(
        None, description="this request: quote it to support", examples=["urn:voltlync:request:4bf92f35"]
    )
    errors: list[FieldError] | None = Field(None, description="what is wrong in which field")


class Problem(Exception):
    """Raise it anywhere in a request: `raise Problem(404, "No such station", f"stn_{id} does not exist")`.

    `type` is a URI or, shorter, a kebab-case name that becomes `urn:voltlync:problem:<name>`. Extensions become members.
    """

    def __init__(
        self,
        status: int,
        title: str | None = None,
        detail: str | None = None,
        *,
        type: str = "about:blank",  # noqa: A002  (the member's name)
        errors: Iterable[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        self.status = status
        self.title = title or HTTPStatus(status).phrase
        self.detail = detail
        self.type = type if ":" in type else f"urn:voltlync:problem:{type}"
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extensions = extensions
        super().__init__(f"{self.status} {self.title}" + (f": {detail}" if detail else ""))

    def document(self, instance: str | None = None) -> dict[str, Any]:
        """The members, those without a value left out."""
        members: dict[str, Any] = {**self.extensions, "type": self.type, "title": self.title, "status": self.status}
        if self.detail is not None:
            members["detail"] = self.detail[:MAX_DETAIL_CHARACTERS]
        if instance is not None:
            members["instance"] = instance
        if self.errors:
            members["errors"] = [error.model_dump() for error in self.errors[:MAX_FIELD_ERRORS]]
        return members

    def response(self, instance: str | None = None) -> web.Response:
        """The answer to send."""
        body = orjson.dumps(self.document(instance), default=str)
        return web.Response(status=self.status, body=body, headers={**self.headers, "Content-Type": PROBLEM_JSON})


def invalid(errors: Iterable[FieldError]) -> Problem:
    """422: well-formed, yet not what the operation takes."""
    return Problem(422, "The request is not valid", "See errors for each field.", type="invalid-request", errors=errors)


def invalid_field(pointer: str, detail: str) -> Problem:
    """422 about one field: `invalid_field("#/query/cursor", "This is no cursor of this list")`."""
    return invalid([FieldError(pointer=pointer, detail=detail)])


def malformed(detail: str) -> Problem:
    """400: not even readable."""
    return Problem(400, "The request cannot be read", detail, type="malformed-request")


def pointer_to(place: str, steps: Iterable[str | int]) -> str:
    """`body`, ("rates", 0) → `#/body/rates/0`, escaped by RFC 6901."""
    escaped = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return "/".join([f"#/{place}", *escaped])


def field_errors(error: ValidationError, place: str) -> list[FieldError]:
    """pydantic's findings as field errors. The values themselves are not told back: they may be personal."""
    return [
        FieldError(pointer=pointer_to(place, found["loc"]), detail=found["msg"])
        for found in error.errors(include_url=False, include_context=False, include_input=False)[:MAX_FIELD_ERRORS]
    ]


def type_name(error: type[Exception]) -> str:
    """`NoSuchStation` → `no-such-station`: the problem type of a mapped domain exception."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", error.__name__).lower()
