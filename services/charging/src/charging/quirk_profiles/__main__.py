"""`python -m charging.quirk_profiles [--write docs/quirk-profiles.md]`: the table of the packaged profiles."""

import sys
from pathlib import Path
from typing import Any

from charging.domain.quirk_profiles import Profile
from charging.quirk_profiles import load_profiles

BEGIN = "<!-- made by python -m charging.quirk_profiles --write docs/quirk-profiles.md -->"


def table() -> str:
    """Markdown: whom a profile is for, what it sets, and why."""
    lines = ["| profile | for | sets | evidence |", "| --- | --- | --- | --- |"]
    for profile in load_profiles().profiles:
        sets = "<br>".join(f"`{name}`: {_text(value)}" for name, value in profile.quirks.items()) or "nothing: absorbed for all"
        evidence = "<br>".join(f"row {item.row}: {_cell(item.says)} ({_cell(item.source)})" for item in profile.evidence)
        lines.append(f"| `{profile.name}` | {_cell(_match(profile))} | {sets} | {evidence} |")
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    """The page with the table anew, below its mark."""
    return f"{page.partition(BEGIN)[0]}{BEGIN}\n\n{table()}"


def _match(profile: Profile) -> str:
    models = f" {', '.join(profile.models)}" if profile.models else ""
    firmware = f", firmware {profile.firmware}" if profile.firmware is not None else ""
    return f"{', '.join(vendor or '(empty)' for vendor in profile.vendors)}{models}{firmware}"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} = {text}" for key, text in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def main(arguments: list[str]) -> None:
    """Print the table, or with `--write PAGE` put it into the page."""
    if arguments[:1] == ["--write"]:
        page = Path(arguments[1])
        page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(table())


if __name__ == "__main__":
    main(sys.argv[1:])
