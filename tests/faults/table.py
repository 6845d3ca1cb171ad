"""The page `docs/fault-matrix.md`: every call to Razorpay under everything that can happen to it, and how each came to its end.

    python -m tests.faults.table        runs all cells and writes the page (`make fault-matrix`)

The rows stand beside the services whose calls they are (`tests/integration/fault_rows.py`); CI runs a third of the cells, and
`tests/test_fault_matrix.py` holds the page against the rows.
"""

import ast
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from testkit.fault_matrix import FAULTS, KILLS, NETWORK

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "fault-matrix.md"
SERVICES = ("payments", "settlement")
PROPERTY = "fault_matrix"

Cells = Mapping[str, list[dict[str, Any]]]
"""Service → its cells, as `testkit.fault_matrix.as_table` gives them."""

INTRODUCTION = """\
# Fault matrix

Made by `make fault-matrix`. Every call that payments and settlement make to Razorpay (but those under *Not tried*) is tried under
everything that can happen to it: the sandbox loses the request or the answer, refuses, or cuts the connection, and the process
is killed between every two steps (a new one then takes over the same database). Nothing is repaired by hand, and no event of
Razorpay's about the matter arrives, so that the tables alone have to bring it to its end. Each cell ends with exactly one of what
the row makes, of the right amount, under one idempotency key where Razorpay has keys; settlement's books agree to the paisa.

A cell reads *calls / minutes*: how often the call was made, and how many minutes of the (stepped) clock passed until our tables
and Razorpay's agreed for good. Where it says half an hour or more, what was waited for is the poll that stands in for the lost
event: Razorpay had the refund, transfer or QR code long before. "—": nothing lies before the claim, which is the intent itself.
"""


def rows_of(service: str) -> list[tuple[str, str]]:
    """(call, module) of a service's rows, read from the source: nothing is imported."""
    source = ROOT / "services" / service / "tests" / "integration" / "fault_rows.py"
    found = []
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Row":
            call, site = (argument.value for argument in node.args[:2] if isinstance(argument, ast.Constant))
            found.append((str(call), str(site)))
    return found


def untried_of(service: str) -> dict[tuple[str, str], str]:
    """(call, module) of a service's calls without a row → why, read from the source."""
    source = ROOT / "services" / service / "tests" / "integration" / "fault_rows.py"
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "UNTRIED":
            found: dict[tuple[str, str], str] = ast.literal_eval(node.value)
            return found
    return {}


def untried_lines() -> list[str]:
    """What the page says of them."""
    each = [(call, site, why) for service in SERVICES for (call, site), why in untried_of(service).items()]
    return ["## Not tried", "", *(f"- `{call}` by {site}: {why}." for call, site, why in each), ""] if each else []


def page(cells: Cells) -> str:
    """The page as Markdown."""
    total = [cell for of_service in cells.values() for cell in of_service]
    wrong = [cell for cell in total if cell["wrong"]]
    lines = [INTRODUCTION, f"{len(total)} cells, {len(total) - len(wrong)} of them consistent.", ""]
    for service, of_service in cells.items():
        for title, faults in (("the network and Razorpay", tuple(NETWORK)), ("the process", KILLS)):
            lines += [f"## {service.capitalize()}: {title}", "", *_table(of_service, faults), ""]
    return "\n".join([*lines, *untried_lines()]).rstrip() + "\n"


def _table(cells: Iterable[Mapping[str, Any]], faults: tuple[str, ...]) -> list[str]:
    rows: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for cell in cells:
        rows.setdefault((cell["call"], cell["site"]), {})[cell["fault"]] = cell
    lines = [f"| call | asked by | one | {' | '.join(faults)} |", f"| --- | --- | --- |{' --- |' * len(faults)}"]
    for (call, site), by_fault in rows.items():
        makes = next(iter(by_fault.values()))["makes"]
        shown = " | ".join(_shown(by_fault.get(fault)) for fault in faults)
        lines.append(f"| `{call}` | {site} | {makes} | {shown} |")
    return lines


def _shown(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "—"
    return f"WRONG: {cell['wrong']}".replace("|", "\\|") if cell["wrong"] else f"{cell['calls']} / {cell['minutes']:g}"


class Results:
    """A pytest plugin: what the services' matrices recorded."""

    def __init__(self) -> None:
        self.cells: dict[str, list[dict[str, Any]]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Each service's test records its cells as a property."""
        for name, value in report.user_properties:
            if name == PROPERTY and report.when == "call":
                self.cells[report.nodeid.split("/")[1]] = value  # type: ignore[assignment]


def main() -> int:
    """Run, write, and say whether all is well."""
    results = Results()
    tests = [f"{ROOT}/services/{service}/tests/integration/test_fault_matrix.py" for service in SERVICES]
    failed = pytest.main(["-q", "-m", "long", f"--rootdir={ROOT}", *tests], plugins=[results])
    if results.cells:
        PAGE.write_text(page({service: results.cells[service] for service in SERVICES if service in results.cells}))
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} written: {len(FAULTS)} faults\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
