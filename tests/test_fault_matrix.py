"""The page says what there is: every call to Razorpay has its row, every row all its faults, and each cell came to its end."""

import re

import pytest

from testkit.fault_matrix import FAULTS, KILLS, NETWORK, calls_in, calls_of_the_adapter
from tests.faults.table import PAGE, ROOT, SERVICES, rows_of, untried_lines

CELL = re.compile(r"\d+ / \d+(\.\d+)?")
NO_CLAIM = "—"


@pytest.mark.parametrize("service", SERVICES)
def test_the_page_has_the_rows_and_faults_of_the_tests(service: str) -> None:
    text = PAGE.read_text()
    for title, faults in (("the network and Razorpay", tuple(NETWORK)), ("the process", KILLS)):
        section = text.partition(f"## {service.capitalize()}: {title}\n")[2].partition("\n## ")[0]
        head, _, *rows = [line.strip("| ").split(" | ") for line in section.strip().splitlines()]
        assert head[3:] == list(faults), "run `make fault-matrix`"
        assert [(row[0].strip("`"), row[1]) for row in rows] == rows_of(service), "run `make fault-matrix`"
        for row in rows:
            assert all(CELL.fullmatch(cell) or cell == NO_CLAIM for cell in row[3:]), row


def test_the_page_says_what_is_not_tried() -> None:
    assert "\n".join(untried_lines()).strip() in PAGE.read_text(), "run `make fault-matrix`"


def test_whoever_calls_razorpay_is_tried() -> None:
    """A service that begins to call Razorpay, or a method that nobody tries, is missing here by name."""
    sources = {path.parents[1].name: path for path in (ROOT / "services").glob("*/src/*") if path.is_dir()}
    callers = {service for service, source in sources.items() if calls_in(source)}
    assert callers == set(SERVICES), "add its fault_rows.py and test_fault_matrix.py, and its name to SERVICES"
    tried = {call for service in SERVICES for call, _ in rows_of(service)}
    assert set(calls_of_the_adapter()) - tried == set(), "the adapter has a call that no service's fault_rows.py tries"
    assert len(FAULTS) == len(NETWORK) + len(KILLS)
