"""Integer paise and watt-hours as people read them."""


def rupees(paise: int) -> str:
    """₹123.45; a negative amount has its sign in front."""
    sign = "-" if paise < 0 else ""
    return f"{sign}₹{abs(paise) // 100}.{abs(paise) % 100:02d}"


def kwh(wh: int) -> str:
    """1.234 kWh."""
    return f"{wh // 1000}.{wh % 1000:03d} kWh"
