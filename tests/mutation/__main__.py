"""Stage, run, tell."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.mutation.page import write_page

ROOT = Path(__file__).parents[2]
STAGE = ROOT / ".mutants"
PACKAGES = {
    "money": ROOT / "libs/money",
    "payments": ROOT / "services/payments",
    "settlement": ROOT / "services/settlement",
}
RULES = ("src/money/*.py", "src/payments/domain/*.py", "src/settlement/domain/*.py")
"""What is mutated; fnmatch's `*` crosses slashes."""
NOT_OF_RULES = (
    "test_purity.py",
    "test_settings.py",
    "test_printing.py",
    "test_invoice_page.py",
    "test_credit_note_page.py",
    "test_franchisee_statement_page.py",
)
"""Unit tests that read sources as text, or are about something else: what draws in threads hangs in a fork."""

HYPOTHESIS = """import hypothesis
from hypothesis import Phase

hypothesis.settings.register_profile(
    "mutants", deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate)
)
hypothesis.settings.load_profile("mutants")
"""
"""The same examples for every mutant. A red one is enough: to shrink it, or to explain it, takes half a minute where its story is
long."""


def stage() -> None:
    """The three packages side by side, with their unit tests, and mutmut's configuration for it."""
    for old in ("src", "tests", "mutants"):
        shutil.rmtree(STAGE / old, ignore_errors=True)
    for name, place in PACKAGES.items():
        shutil.copytree(place / "src" / name, STAGE / "src" / name, ignore=shutil.ignore_patterns("__pycache__"))
        ignore = shutil.ignore_patterns("__pycache__", *NOT_OF_RULES)
        shutil.copytree(place / "tests/unit", STAGE / "tests" / name, ignore=ignore)
    listed = ", ".join(f'"{pattern}"' for pattern in RULES)
    config = f"""[tool.mutmut]
source_paths = ["src"]
only_mutate = [{listed}]
do_not_mutate = ["*/errors.py", "*/link.py"]
pytest_add_cli_args = ["-p", "no:cacheprovider", "--import-mode=importlib", "-q"]
pytest_add_cli_args_test_selection = ["tests"]
use_git_change_detection = false
timeout_constant = 10.0

[tool.pytest.ini_options]
asyncio_mode = "auto"
"""
    (STAGE / "pyproject.toml").write_text(config, encoding="utf-8")
    (STAGE / "tests/conftest.py").write_text(HYPOTHESIS, encoding="utf-8")


def main() -> None:
    """All of it. `page`: only the page, from the results that are there. Exit code 1: some survivor is not justified."""
    mutmut = Path(sys.executable).with_name("mutmut")
    if sys.argv[1:] != ["page"]:
        stage()
        names = sys.argv[1:]
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        command = [mutmut, "run", "--max-children", "2", *names]
        subprocess.run(command, cwd=STAGE, check=True, env=environment)
    raise SystemExit(0 if write_page(STAGE, mutmut) else 1)


if __name__ == "__main__":
    main()
