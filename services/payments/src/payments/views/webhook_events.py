"""Razorpay's webhook events, and what working one again would do."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from chassis.web import PageQuery
from payments.domain.webhook import WebhookState, read_figures
from payments.repository.changes import RowChange
from payments.repository.webhook_events import WebhookEvent
from payments.views.base import (
    _MASKS,
    WebhookEventId,
)


class WebhookAccepted(BaseModel):
    """What Razorpay is told; it looks at the status alone."""

    status: str = "ok"


class EntityFiguresView(BaseModel):
    """What an event says of one payment, refund, transfer or settlement."""

    model_config = ConfigDict(from_attributes=True)

    entity: str
    razorpay_id: str
    razorpay_payment_id: str | None
    status: str | None
    amount_paise: int | None
    fee_paise: int | None
    tax_paise: int | None


class WebhookEventView(BaseModel):
    """One of Razorpay's events, and what became of it."""

    id: WebhookEventId
    razorpay_event_id: str
    event: str | None
    account_id: str | None
    state: WebhookState
    reason: str | None
    verified_by: str = Field(
        description="which webhook secret verified it: CURRENT or PREVIOUS; ASKED: it is an answer to our own question"
    )
    deliveries: int
    attempts: int
    next_attempt_at: datetime | None
    created_at: datetime = Field(description="when Razorpay made it")
    received_at: datetime
    handled_at: datetime | None
    figures: list[EntityFiguresView] = Field(description="the money in it, read from its bytes as they came")

    @classmethod
    def of(cls, row: WebhookEvent) -> "WebhookEventView":
        """From its row."""
        fields = {name: getattr(row, name) for name in WebhookEventView.model_fields.keys() - {"figures"}}
        figures = [EntityFiguresView.model_validate(figure) for figure in read_figures(row.body)]
        return WebhookEventView(**fields, figures=figures)


class WebhookEventDetail(WebhookEventView):
    """With the bytes as they came. Unmasked: for administrators."""

    body_base64: str
    body_sha256: str
    headers: dict[str, str]

    @classmethod
    def whole(cls, row: WebhookEvent) -> Self:
        """From its row."""
        return cls(
            **WebhookEventView.of(row).model_dump(),
            body_base64=base64.b64encode(row.body).decode(),
            body_sha256=row.body_sha256,
            headers=dict(row.headers),
        )


class WebhookEventQuery(PageQuery):
    """Filters of the list of webhook events."""

    state: WebhookState | None = None
    event: str | None = Field(None, max_length=100)
    razorpay_event_id: str | None = Field(None, max_length=64, description="x-razorpay-event-id")
    account_id: str | None = Field(None, max_length=64, description="acc_...")


class WebhookReplayQuery(BaseModel):
    """How to replay."""

    model_config = ConfigDict(extra="forbid")

    preview: bool = Field(False, description="say what the replay would do, and do nothing")


def _shown(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """These columns of a row, personal data masked."""
    return {name: _MASKS[name](row[name]) if name in _MASKS and row[name] is not None else row[name] for name in names}


class RowChangeView(BaseModel):
    """A row that would be made or changed."""

    table: str
    id: int | str | None = Field(description="our key of it; null for a row that would be made, whose id is not known yet")
    before: dict[str, Any] | None = Field(description="the columns that would change, as they are; null: there is no such row")
    after: dict[str, Any] = Field(description="the same columns, as they would be; personal data is masked")

    @classmethod
    def of(cls, change: RowChange) -> Self:
        """From what was written."""
        if change.before is None:
            return cls(
                table=change.table,
                id=None,
                before=None,
                after=_shown(change.after, [name for name in change.after if name != "id"]),
            )
        differ = [name for name, value in change.after.items() if change.before[name] != value]
        return cls(
            table=change.table,
            id=change.key[0],
            before=_shown(change.before, differ),
            after=_shown(change.after, differ),
        )


class AnnouncementView(BaseModel):
    """A message that would leave."""

    type: str
    to: str = Field(description="exchange and routing key")
    body: dict[str, Any] = Field(description="without Razorpay's payload, which may hold personal data")

    @classmethod
    def of(cls, announced: Mapping[str, Any]) -> Self:
        """From the outbox row."""
        body = {name: value for name, value in json.loads(announced["body"]).items() if name != "payload"}
        return cls(type=announced["type"], to=f"{announced['exchange']}/{announced['routing_key']}", body=body)


class WebhookReplayPreview(BaseModel):
    """What a replay would do now. Ids of rows that would be made are only known once they are."""

    event: WebhookEventView = Field(description="as it is")
    state: WebhookState = Field(description="what it would be; RECEIVED: it would wait, or be tried again")
    reason: str | None
    asks: list[str] = Field(description="what Razorpay would be asked first; here it was not, and a fee counts as not told")
    changes: list[RowChangeView] = Field(description="rows beside the event's own")
    announces: list[AnnouncementView]

    @classmethod
    def of(
        cls,
        was: WebhookEvent,
        now_is: WebhookEvent,
        *,
        asks: list[str],
        changes: Sequence[RowChange],
        announced: Sequence[Mapping[str, Any]],
    ) -> Self:
        """From what was written in the transaction that was rolled back."""
        return cls(
            event=WebhookEventView.of(was),
            state=WebhookState(now_is.state),
            reason=now_is.reason,
            asks=asks,
            changes=[RowChangeView.of(change) for change in changes],
            announces=[AnnouncementView.of(message) for message in announced],
        )

    @classmethod
    def undecided(cls, was: WebhookEvent, *, state: WebhookState, reason: str, asks: list[str]) -> Self:
        """It would come to no effect: what hinders it."""
        return cls(event=WebhookEventView.of(was), state=state, reason=reason, asks=asks, changes=[], announces=[])
