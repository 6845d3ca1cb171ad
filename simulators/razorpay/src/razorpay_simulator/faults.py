"""Faults on demand, and the log of what was asked."""

import json
from collections import deque
from fnmatch import fnmatchcase
from typing import Any, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

from razorpay_simulator.entities import JsonObject
from razorpay_simulator.errors import BAD_REQUEST, GATEWAY, KEY_IN_PROGRESS, SERVER, SERVER_TROUBLE, TOO_MANY_REQUESTS

HTML_ERROR = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


class FaultRule(BaseModel):
    """One fault, for the next `times` requests that match.

    - `error`: an error answer; `status`, `code` and `description` choose which (default: 500 SERVER_ERROR);
    - `html`: a proxy's 502 page in place of JSON;
    - `conflict`: 409, another request with the key is in progress;
    - `throttle`: 429;
    - `hang`: no answer, ever;
    - `reset`: the connection is cut;
    - `slow`: the answer takes `seconds` on the clock. Before the effect, the idempotency key and the payment count as
      busy meanwhile.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["error", "html", "conflict", "throttle", "hang", "reset", "slow"]
    when: Literal["before_effect", "after_effect"] = Field(
        default="before_effect", description="after_effect: the request takes its full effect, and only the answer is lost."
    )
    method: str = Field(default="*", description="A shell pattern, such as `POST`.")
    path: str = Field(default="*", description="A shell pattern (`*` crosses slashes), such as `/v1/payments/*/refund`.")
    having: str | None = Field(
        default=None,
        min_length=1,
        description="A text in path, query string, linked account or body (as JSON): the fault of one refund, of one transfer.",
    )
    times: int | None = Field(default=1, ge=1, description="None: until cleared.")
    after: int = Field(default=0, ge=0, description="Let this many matching requests pass first.")
    seconds: float = Field(default=0, ge=0)
    status: int | None = Field(default=None, ge=400, le=599)
    code: str | None = None
    description: str | None = None

    def matches(self, method: str, path: str, said: str) -> bool:
        """`said`: all that the request says, as one text."""
        return fnmatchcase(method, self.method) and fnmatchcase(path, self.path) and (self.having is None or self.having in said)

    def answer(self) -> tuple[int, JsonObject]:
        """Status and body, for the kinds that answer with JSON."""
        if self.kind == "conflict":
            status, code, description = 409, BAD_REQUEST, KEY_IN_PROGRESS
        elif self.kind == "throttle":
            status, code, description = 429, BAD_REQUEST, TOO_MANY_REQUESTS
        else:
            status = self.status or 500
            code = BAD_REQUEST if status < 500 else GATEWAY if status in (502, 504) else SERVER
            description = SERVER_TROUBLE
        return self.status or status, {"error": {"code": self.code or code, "description": self.description or description}}


class Faults:
    """The rules in force, used up in the order in which they were given."""

    def __init__(self) -> None:
        self.rules: list[FaultRule] = []

    def add(self, rule: FaultRule) -> None:
        self.rules.append(rule.model_copy())

    def take(self, request: "RequestRecord") -> FaultRule | None:
        """The fault for this request, if any."""
        said = request.said() if any(rule.having is not None for rule in self.rules) else ""
        for rule in self.rules:
            if not rule.matches(request.method, request.path, said):
                continue
            if rule.after:
                rule.after -= 1
                continue
            if rule.times is not None:
                rule.times -= 1
                if not rule.times:
                    self.rules.remove(rule)
            return rule
        return None

    def clear(self) -> None:
        self.rules.clear()


class RequestRecord(BaseModel):
    """One API request, for assertions. `status` is None when it was never answered."""

    at: float
    method: str
    path: str
    query: dict[str, str]
    idempotency_key: str | None
    account: str | None
    """X-Razorpay-Account."""
    body: Any
    status: int | None = None
    answer: Any = None
    fault: str | None = None
    mode: str | None = None
    """test or live, by the key; None where there was no valid key."""

    def said(self) -> str:
        """Path, query string, linked account and body as one text, to find an id in."""
        return "\n".join((f"{self.path}?{urlencode(self.query)}", self.account or "", json.dumps(self.body, ensure_ascii=False)))


class RequestLog:
    """The newest requests, oldest first."""

    def __init__(self, size: int) -> None:
        self._records: deque[RequestRecord] = deque(maxlen=size)
        self.added = 0
        """How many there ever were."""

    def add(self, record: RequestRecord) -> None:
        self._records.append(record)
        self.added += 1

    def find(self, method: str = "*", path: str = "*") -> list[RequestRecord]:
        """The requests whose method and path match the shell patterns."""
        return [r for r in self._records if fnmatchcase(r.method, method) and fnmatchcase(r.path, path)]

    def clear(self) -> None:
        self._records.clear()
