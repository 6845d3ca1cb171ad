"""Heartbeat (OCPP 1.6 §4.6): our time. Any frame counts as life, so nobody needs to hear of it."""

from datetime import datetime

import orjson

from ocpp_gateway.actions.kinds import AnswerAtOnce
from ocpp_gateway.timestamps import ocpp_time


def answer(now: datetime, _heartbeat_interval_seconds: int) -> bytes:
    """Heartbeat.conf."""
    return orjson.dumps({"currentTime": ocpp_time(now)})


ACTION = AnswerAtOnce(answer)
