"""How an amount came about, so that whoever asks can work it out again (feature B9)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from money.errors import require_int


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """One amount with everything it was worked out from. Shown as JSON, and as its sentence."""

    name: str
    """Which amount, by its column without the unit: `energy_charge`, `gst`, `refund`, `commission`."""
    paise: int
    """The amount as booked; below zero where a correction takes back."""
    sentence: str
    """For people, with rupees: "3.333 kWh at ₹18.00 make ₹59.99"."""
    formula: str
    """In the names of `inputs`: "half_up(energy_wh × tariff_paise_per_kwh ÷ 1000)"."""
    inputs: Mapping[str, int | str | None]
    """What the formula takes, by name, in the unit that the name ends with."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where inputs come from: {"energy_wh": "transaction txn_9", "tariff_paise_per_kwh": "tariff trf_3"}."""

    def __post_init__(self) -> None:
        require_int(paise=self.paise)
