"""The scoreboard `docs/conformance.md`: every row of the quirk table and every OCA case, its tests, and what a run of them gave.

    python -m tests.field.table        runs the marked tests and writes the page (`make conformance`)

Tests bear their row as a marker, wherever they live. A test of our own holds the page against the markers, so a row can't lose
its test unnoticed; that they pass is what CI runs.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "conformance.md"
ROWS = Path(__file__).with_name("rows.yaml")
TESTED = ("libs", "services", "simulators", "cli", "tests")
NOT_RUN = "not run"
MARKERS = ("quirk", "oca")


@dataclass(frozen=True, order=True)
class MarkedTest:
    """A test function that bears a marker."""

    path: str
    name: str


Marked = Mapping[tuple[str, int | str], list[MarkedTest]]
"""(marker, its argument) → tests."""


def rows() -> dict[str, Any]:
    """The rows, cases and reasons of rows.yaml."""
    loaded: dict[str, Any] = yaml.safe_load(ROWS.read_text())
    return loaded


def marked_tests() -> Marked:
    """All tests with a `quirk` or `oca` marker, found by reading the sources: nothing is imported, nothing is run."""
    found: dict[tuple[str, int | str], list[MarkedTest]] = defaultdict(list)
    for folder in TESTED:
        for path in sorted((ROOT / folder).rglob("test_*.py")):
            if ".venv" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    for marker, argument in _markers(node):
                        found[marker, argument].append(MarkedTest(str(path.relative_to(ROOT)), node.name))
    return found


def _markers(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, int | str]]:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute) and decorator.func.attr in MARKERS:
            for argument in decorator.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, int | str):
                    yield decorator.func.attr, argument.value


def page(marked: Marked, results: Mapping[MarkedTest, str]) -> str:
    """The page as Markdown. `results`: what each test gave, else NOT_RUN."""
    known = rows()
    lines = [
        "# Conformance",
        "",
        "Made by `make conformance`, which runs the tests named here and writes what they gave; CI runs the same tests and holds",
        "this page against their markers. Rows are those of the quirk table (`ocpp.md` Part 1 of the design: 94 ways in which",
        "real charge points misbehave); cases are the Central System cases of the Open Charge Alliance's OCPP 1.6 test document.",
        "",
        "| | shown by a test | passes | does not apply |",
        "| --- | --- | --- | --- |",
    ]
    for title, marker, numbers in (("quirk rows", "quirk", known["quirks"]), ("OCA cases", "oca", known["oca"])):
        shown = [number for number in numbers if marked.get((marker, number))]
        passing = [n for n in shown if all(results.get(test) == "passes" for test in marked[marker, n])]
        waived = [n for n in numbers if n in known["not_applicable"]]
        lines.append(f"| {title} ({len(numbers)}) | {len(shown)} | {len(passing)} | {len(waived)} |")
    lines += ["", "## Quirks", ""]
    for group in known["groups"]:
        lines += [f"### {group['name']}", "", "| row | quirk | test | result |", "| --- | --- | --- | --- |"]
        for number in range(group["first"], group["last"] + 1):
            lines.append(_row(number, known["quirks"][number], marked.get(("quirk", number), []), results, None))
        lines.append("")
    lines += ["## Open Charge Alliance", "", "| case | topic | test | result |", "| --- | --- | --- | --- |"]
    for case, topic in known["oca"].items():
        lines.append(_row(case, topic, marked.get(("oca", case), []), results, known["not_applicable"].get(case)))
    return "\n".join(lines) + "\n"


def _row(key: int | str, what: str, tests: list[MarkedTest], results: Mapping[MarkedTest, str], waived: str | None) -> str:
    what = what.replace("|", "\\|")
    if not tests:
        return f"| {key} | {what} | | {f'does not apply: {waived}' if waived else 'no test'} |"
    links = "<br>".join(f"[{test.name.removeprefix('test_')}](../{test.path})" for test in tests)
    return f"| {key} | {what} | {links} | {'<br>'.join(results.get(test, NOT_RUN) for test in tests)} |"


class Outcomes:
    """A pytest plugin: what each test function gave, over all its cases."""

    def __init__(self) -> None:
        self.failed: dict[MarkedTest, bool] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test that was skipped has shown nothing."""
        path, _, name = report.nodeid.partition("::")
        test = MarkedTest(path, name.partition("[")[0])
        self.failed[test] = self.failed.get(test, False) or report.outcome != "passed"


def run_marked(marked: Marked) -> dict[MarkedTest, str]:
    """Run the marked tests; what each gave: passes, or FAILS if any of its cases failed."""
    tests = {test for named in marked.values() for test in named}
    outcomes = Outcomes()
    pytest.main(["-m", "quirk or oca", f"--rootdir={ROOT}", *sorted({test.path for test in tests})], plugins=[outcomes])
    words = {None: NOT_RUN, True: "FAILS", False: "passes"}
    return {test: words[outcomes.failed.get(test)] for test in tests}


def main() -> int:
    """Run, write, and say whether all passed."""
    marked = marked_tests()
    results = run_marked(marked)
    PAGE.write_text(page(marked, results))
    bad = sorted(test.name for test, result in results.items() if result != "passes")
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} written: {len(results)} tests, {len(bad)} of them not passing {bad or ''}\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
