"""One charger's connection, its socket and its lane recorded instead of opened: what frame handling alone is tested on."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from chassis.runtime import SystemIds
from contracts.ocpp_gateway import DataTransferDecision, IdTagStatus, StartTransactionDecision
from ocpp_gateway.connection import Connection, Surroundings
from ocpp_gateway.metrics import Metrics
from ocpp_gateway.settings import GatewaySettings
from ocpp_gateway.streams import Outbound, Stream
from ocpp_gateway.turns import Turns
from testkit.clock import SteppingClock


class _Service:
    """As far as its tasks go: they are noted, not run."""

    def __init__(self, started: list[str]) -> None:
        self.tasks = self
        self._started = started

    def start(self, name: str, coroutine: Any) -> None:
        coroutine.close()
        self._started.append(name)


class OneCharger:
    """A real `Connection`; what it sends, tells and asks is in `sent`, `events` and `tasks`. The lane takes all at once."""

    def __init__(self, folder: Path) -> None:
        self.sent: list[bytes] = []
        self.events: list[Outbound] = []
        self.tasks: list[str] = []
        clock = SteppingClock()
        self._service = _Service(self.tasks)
        settings = GatewaySettings(amqp_url="amqp://nowhere", redis_url="redis://nowhere", gateway_data_dir=folder)
        self._registry = CollectorRegistry()
        around = Surroundings(
            service=self._service,  # type: ignore[arg-type]
            settings=settings,
            bus=None,  # type: ignore[arg-type]
            streams=self,  # type: ignore[arg-type]
            metrics=Metrics(self._registry),
            clock=clock,
            ids=SystemIds(),
            complete=lambda *_: None,
            end=self._end,
            turns=Turns(1),
        )
        self.connection = Connection(around, Stream("CP-1"), self, 1)  # type: ignore[arg-type]

    # A transport.
    def write(self, data: bytes) -> None:
        length = data[1]
        start = 2 if length < 126 else 4 if length == 126 else 10
        self.sent.append(data[start:])

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    # Streams.
    def tell(self, event: Outbound) -> None:
        self.events.append(event)
        event.settled(True)

    def ask(self, question: Outbound, decision: Any) -> None:
        self.events.append(question)
        question.settled(
            StartTransactionDecision(transaction_id=1, status=IdTagStatus.ACCEPTED)
            if decision is StartTransactionDecision
            else DataTransferDecision(status="Accepted")
        )

    def _end(self, connection: Connection, reason: Any) -> None:
        connection.ended = reason

    def failures(self) -> float:
        """Frames whose handling raised."""
        return self._registry.get_sample_value("voltlync_ocpp_gateway_frame_failures_total") or 0.0

    def clear(self) -> None:
        """Forget what was recorded."""
        self.connection.in_flight = 0
        for record in (self.sent, self.events, self.tasks):
            record.clear()


@pytest.fixture(scope="session")
def one_charger(tmp_path_factory: pytest.TempPathFactory) -> OneCharger:
    """See OneCharger."""
    return OneCharger(tmp_path_factory.mktemp("one"))
