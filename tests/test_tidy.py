"""House rules that no linter knows. Each message says what to do instead.

Rules that ruff can say live in pyproject.toml; who may import whom is in .importlinter.
"""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SERVICES = sorted(path.parent for path in (ROOT / "services").glob("*/pyproject.toml"))
MEMBERS = sorted(
    path.parent for pattern in ("libs/*", "services/*", "simulators/*", "cli") for path in ROOT.glob(f"{pattern}/pyproject.toml")
)

# Longer than this and a file tells more than one story.
LINES_MAX = 600
BYTES_MAX = 1_000_000


def committed(*suffixes: str) -> list[Path]:
    """The files that are, or are about to be, in the repository, with one of these endings."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    paths = [ROOT / name for name in listed if name and (not suffixes or name.endswith(suffixes))]
    return [path for path in paths if path.is_file()]


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def our_python() -> list[Path]:
    return [path for path in committed(".py") if "src" in path.parts]


def refuse(findings: list[str], instead: str) -> None:
    assert not findings, instead + "\n  " + "\n  ".join(findings)


def names_in(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr
        elif isinstance(part, ast.arg | ast.keyword) and part.arg:
            yield part.arg


def inexact(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Where an exact quantity (`..._paise`, `..._wh`, `..._bps`) meets a float: a type, a literal, or a true division."""
    exact = re.compile(r"_(paise|wh|bps)$")
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            name = node.arg if isinstance(node, ast.arg) else next(names_in(node.target), "")
            if exact.search(name) and "float" in set(names_in(node.annotation)):
                yield node.lineno, f"{name} is annotated as a float"
        elif isinstance(node, ast.FunctionDef) and exact.search(node.name) and node.returns is not None:
            if "float" in set(names_in(node.returns)):
                yield node.lineno, f"{node.name} returns a float"
        elif isinstance(node, ast.BinOp):
            sides = [name for side in (node.left, node.right) for name in names_in(side) if exact.search(name)]
            literals = [part for side in (node.left, node.right) for part in ast.walk(side) if isinstance(part, ast.Constant)]
            if sides and isinstance(node.op, ast.Div):
                yield node.lineno, f"{sides[0]} is divided with /"
            elif sides and any(isinstance(literal.value, float) for literal in literals):
                yield node.lineno, f"{sides[0]} meets a float literal"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
            for name in names_in(node):
                if exact.search(name):
                    yield node.lineno, f"float({name})"


MONEY_PACKAGES = ("libs", "services")


def test_money_and_energy_never_meet_a_float() -> None:
    findings = [
        f"{shown(path)}:{line}: {what}"
        for path in our_python()
        if path.relative_to(ROOT).parts[0] in MONEY_PACKAGES
        for line, what in inexact(ast.parse(path.read_text()))
    ]
    refuse(
        findings,
        "Paise, watt-hours and basis points are int: use money.divide_half_up, and // only where rounding down is meant.",
    )


@pytest.mark.parametrize(
    "guilty",
    ["amount_paise: float = 0", "def f(fee_paise: float | None): ...", "x = total_paise / 100", "y = energy_wh * 1.5",
     "z = float(refund_paise)", "def tax_paise() -> float: ..."],
)  # fmt: skip
def test_the_float_rule_sees_what_it_should(guilty: str) -> None:
    assert list(inexact(ast.parse(guilty)))


@pytest.mark.parametrize(
    "innocent", ["amount_paise: int = 0", "x = total_paise // 100", "y = power_kw * 1.5", "def f(wait: float): ..."]
)
def test_the_float_rule_lets_the_innocent_go(innocent: str) -> None:
    assert not list(inexact(ast.parse(innocent)))


def test_every_file_is_short_enough_to_read() -> None:
    findings = [
        f"{shown(path)}: {lines} lines" for path in our_python() if (lines := len(path.read_text().splitlines())) > LINES_MAX
    ]
    refuse(
        findings, f"A file over {LINES_MAX} lines tells more than one story: give each its own file, named by its domain word."
    )


def test_no_file_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "helper", "misc", "common", "base_utils", "stuff"}
    findings = [shown(path) for path in committed(".py") if path.stem in drawers or path.parent.name in drawers]
    refuse(findings, "Name a file for what is in it; a drawer of odds and ends is found by nobody.")


def test_nothing_heavy_is_committed() -> None:
    findings = [f"{shown(path)}: {path.stat().st_size} bytes" for path in committed() if path.stat().st_size > BYTES_MAX]
    refuse(findings, "Generate it, or fetch it at build time; the repository is for what people wrote.")


# Somebody's home or checkout. Paths of a container or of Debian's packages (/etc, /usr, /var, /tmp) are the same everywhere.
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:root|home/\w+|Users/\w+|work)/[\w.-]+")
URL_OF_AN_INDEX = re.compile(
    r"(--(extra-)?index-url|--find-links|--trusted-host|index-url\s*=|\[\[tool\.uv\.index\]\])", re.IGNORECASE
)


def test_no_registry_host_and_no_path_of_a_machine_is_committed() -> None:
    findings = []
    for path in committed():
        if path == Path(__file__) or path.suffix in {".png", ".ico", ".woff2", ".bin"}:
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if URL_OF_AN_INDEX.search(line.replace("--no-emit-index-url", "")):
                findings.append(f"{shown(path)}:{number}: names a package index")
            elif match := MACHINE_PATH.search(line):
                findings.append(f"{shown(path)}:{number}: {match.group()}")
    refuse(findings, "Leave the index to the machine's own settings, and build paths from the repository's root.")


def test_the_lock_pins_exactly_and_names_no_host() -> None:
    """`make lock` writes it. A line is `name==version` and perhaps a marker: no option, no URL, no path, no member of ours."""
    line = re.compile(r"^[a-z0-9][a-z0-9._-]*==[^\s;]+( ; .+)?$")
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    refuse([text for text in lines if not line.match(text)], "Renew the lock with `make lock`.")
    ours = {tomllib.loads((member / "pyproject.toml").read_text())["project"]["name"] for member in MEMBERS}
    refuse(sorted(ours & {text.split("==")[0] for text in lines}), "Members are installed editable, not from the lock.")


def test_the_lock_has_what_every_member_asks_for() -> None:
    normal = lambda name: re.sub(r"[-_.]+", "-", name).lower()  # noqa: E731
    locked = {normal(text.split("==")[0]) for text in (ROOT / "requirements.lock").read_text().splitlines()}
    findings = []
    for member in MEMBERS:
        for wanted in tomllib.loads((member / "pyproject.toml").read_text())["project"].get("dependencies", []):
            name = normal(re.split(r"[^A-Za-z0-9._-]", wanted, maxsplit=1)[0])
            if not name.startswith("voltlync") and name not in locked:
                findings.append(f"{shown(member)} wants {name}")
    refuse(findings, "Run `make lock`.")


def imports_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.split(".")[0]


def test_every_member_declares_the_members_it_imports() -> None:
    """An image installs one service with its own dependencies: what is not declared is missing there, and only there."""
    package_of = {
        member: next(path.name for path in (member / "src").iterdir() if (path / "__init__.py").exists()) for member in MEMBERS
    }
    name_of = {member: tomllib.loads((member / "pyproject.toml").read_text())["project"]["name"] for member in MEMBERS}
    distribution = {package_of[member]: name_of[member] for member in MEMBERS}
    findings = []
    for member in MEMBERS:
        declared = " ".join(tomllib.loads((member / "pyproject.toml").read_text())["project"].get("dependencies", []))
        used = {name for path in (member / "src").rglob("*.py") for name in imports_of(ast.parse(path.read_text()))}
        findings += [
            f"{shown(member)} imports {name}: add {distribution[name]}"
            for name in sorted(used & distribution.keys() - {package_of[member]})
            if distribution[name] not in declared.split()
        ]
    refuse(findings, "Declare it in the member's own pyproject.toml (dependencies and [tool.uv.sources]).")


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_every_service_has_the_plan_of_the_house(service: Path) -> None:
    package = service / "src" / service.name.replace("-", "_")
    wanted = [service / "README.md", package / "__main__.py", package / "app.py", package / "settings.py"]
    refuse([shown(path) for path in wanted if not path.exists()], "See docs/house.md, 'The plan of a service'.")


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_every_readme_tells_what_a_service_owns_and_how_to_run_it(service: Path) -> None:
    text = (service / "README.md").read_text().lower()
    findings = [word for word in ("owns", "consumes", "emits", "run") if word not in text]
    refuse(
        findings, f"{service.name}/README.md is one page: owns, consumes, emits, states, failure metrics, how to run it alone."
    )


def migrations() -> list[Path]:
    return [path for path in committed(".py") if path.parent.name == "versions" and "migrations" in path.parts]


def test_migrations_are_dated_and_leave_the_lock_timeout_in_force() -> None:
    """chassis.database.migrate.run_env sets `lock_timeout` for every migration; each service's env.py calls it."""
    findings = [
        f"{shown(path)}: name it YYYY_MM_DD_HHMM_slug.py"
        for path in migrations()
        if not re.match(r"\d{4}_\d\d_\d\d_\d{4}_\w+\.py$", path.name)
    ]
    findings += [
        f"{shown(path)}: turns the lock timeout off"
        for path in migrations()
        if re.search(r"lock_timeout\s*(=|TO)\s*'?0", path.read_text(), re.IGNORECASE)
    ]
    for service in SERVICES:
        environment = service / "migrations" / "env.py"
        if (service / "migrations").exists() and "run_env()" not in environment.read_text():
            findings.append(f"{shown(environment)}: call chassis.database.migrate.run_env, which sets the lock timeout")
    refuse(findings, "A migration that waits for a lock makes every query behind it wait: see chassis/database/migrate.py.")
    assert "SET LOCAL lock_timeout" in (ROOT / "libs/chassis/src/chassis/database/migrate.py").read_text()


def test_every_failure_metric_has_a_runbook() -> None:
    runbooks = "\n".join(path.read_text() for path in (ROOT / "docs" / "runbooks").glob("*.md"))
    metric = re.compile(r"[\"'](voltlync_[a-z_]+_(?:failed|failures|errors|parked|stuck|lost|mismatches|unknown)_total)[\"']")
    findings = [
        f"{shown(path)}: {name}"
        for path in our_python()
        if "services" in path.parts or "libs" in path.parts
        for name in metric.findall(path.read_text())
        if name not in runbooks
    ]
    refuse(findings, "Whoever is woken by it needs a page: docs/runbooks, with the metric's name, what it means and what to do.")


def test_every_environment_variable_is_in_the_example() -> None:
    """`.env.example` lists all settings; `voltlync docs` writes it from the settings classes."""
    example = (ROOT / ".env.example").read_text()
    named = {
        match
        for path in committed(".yml", ".yaml")
        for match in re.findall(r"\b(?:VOLTLYNC|RAZORPAY)_[A-Z0-9_]+\b", path.read_text())
    }
    refuse(sorted(name for name in named if name not in example), "Name it in .env.example, with a sentence.")


def test_scripts_are_executable() -> None:
    findings = [
        shown(path)
        for path in [ROOT / ".ci/run", *(ROOT / "scripts").iterdir()]
        if path.is_file() and not path.stat().st_mode & 0o111
    ]
    refuse(findings, "chmod +x")


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE)
    undocumented = [target for target in targets if not re.search(rf"^{target}:.*## ", makefile, re.MULTILINE)]
    refuse(undocumented, "Write `target: ## what it does`.")


def test_no_todo_is_left_behind() -> None:
    findings = [
        f"{shown(path)}:{number}"
        for path in our_python()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line)
    ]
    refuse(findings, "Do it now, or open an issue and say in a sentence what holds until then.")
