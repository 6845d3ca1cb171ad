"""What all contracts have in common: a type name on the wire, and models that never change once made."""

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

ChargePointId = Annotated[str, Field(min_length=1, max_length=64, description="the charger's identity, as in its OCPP URL")]
Paise = Annotated[int, Field(description="integer paise")]
Wh = Annotated[int, Field(description="integer watt-hours")]
BasisPoints = Annotated[int, Field(ge=0, le=10_000, description="1/100 of a percent")]

_REGISTRY: dict[str, type["Contract"]] = {}


class Contract(BaseModel):
    """Anything that crosses a service boundary. `TYPE` is its name on the wire; unknown fields are ignored, never an error."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    TYPE: ClassVar[str] = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        """Register every contract that has a name of its own."""
        name = cls.__dict__.get("TYPE", "")
        if name:
            if name in _REGISTRY and _REGISTRY[name].__qualname__ != cls.__qualname__:
                raise TypeError(f"two contracts are called {name}: {_REGISTRY[name].__name__} and {cls.__name__}")
            _REGISTRY[name] = cls

    @classmethod
    def producer(cls) -> str:
        """Who may send it (events), or who is addressed (commands and queries): the first word of the type."""
        return cls.TYPE.split(".", 1)[0]


class Event(Contract):
    """A fact. `<producer>.<noun>_<past participle>.v<n>`, published on the producer's own topic exchange by its type."""


class LaneEvent(Contract):
    """A fact or wish that goes through a charger's lane, so that each charger has one order and one writer."""

    charge_point_id: ChargePointId


class ChargerEvent(LaneEvent):
    """What a charger said or did, as its gateway saw it. (charge_point_id, epoch, seq) is its identity: which connection,
    which message in it. It is also the message id, so a redelivered or replayed event is recognised everywhere.
    """

    epoch: int = Field(description="the connection, growing with every new socket of the charger (µs of the registry's clock)")
    seq: int = Field(ge=0, description="the place of this event within the connection")
    received_at: AwareDatetime = Field(description="server time at which the frame came in: every guard and deadline runs on it")
    gateway: str = Field(description="stable name of the gateway that held the socket")

    @property
    def message_id(self) -> str:
        """The dedupe key of this event on the broker."""
        return f"{self.charge_point_id}/{self.epoch}/{self.seq}"


class Command(Contract):
    """A wish. `<addressee>.<noun>_<verb>_requested.v<n>`; exactly one consumer."""


class Query(Contract):
    """A question, answered by RPC over direct reply-to; only where somebody waits. `ANSWER` is its answer's model."""

    ANSWER: ClassVar[type[Contract]]


def all_contracts() -> dict[str, type[Contract]]:
    """Every registered contract by its type, sorted; importing `contracts.messages` registers all."""
    from contracts import messages  # noqa: F401  (registers)

    return dict(sorted(_REGISTRY.items()))


def contract_for(type_name: str) -> type[Contract] | None:
    """The model of a wire type, or None if this build does not know it."""
    return all_contracts().get(type_name)
