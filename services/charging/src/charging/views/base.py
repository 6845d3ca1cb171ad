"""Ids, bounds and what every model of the REST surface is made with."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from chassis.web import Body, PrefixedId

StationId = Annotated[int, PrefixedId("stn")]


ChargerId = Annotated[int, PrefixedId("chg")]


TariffId = Annotated[int, PrefixedId("trf")]


IdTagId = Annotated[int, PrefixedId("tag")]


StartRequestId = Annotated[int, PrefixedId("req")]


TransactionId = Annotated[int, PrefixedId("txn")]


ChargerErrorId = Annotated[int, PrefixedId("err")]


UnknownChargePointId = Annotated[int, PrefixedId("ucp")]


ReservationId = Annotated[int, PrefixedId("rsv")]


ChargingProfileId = Annotated[int, PrefixedId("chp")]


CommandId = Annotated[int, PrefixedId("cmd")]


CommandBatchId = Annotated[int, PrefixedId("bat")]


FranchiseeId = Annotated[int, PrefixedId("frn")]


CONNECTORS_MAX = 255


"""More than any charge point has; OCPP sets no bound."""


POWER_MAX_W = 2_000_000


"""Megawatt charging and room to spare: above it is a typing error, and would make every meter plausible."""


RATE_MAX_PAISE = 1_000_000


"""10,000 rupees a kWh: above it is a typing error."""


Name = Annotated[str, Field(min_length=1, max_length=120)]


Line = Annotated[str, Field(max_length=200)]


def given(body: Body) -> dict[str, Any]:
    """What the caller gave, as Python values (`model_dump` would write ids as text again)."""
    return {name: getattr(body, name) for name in body.model_fields_set}


def whole(body: Body) -> dict[str, Any]:
    """The same with defaults for what was left out."""
    return {name: getattr(body, name) for name in type(body).model_fields}


class View(BaseModel):
    """Made from a row."""

    model_config = ConfigDict(from_attributes=True)
