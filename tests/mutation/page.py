"""What came of it, as docs/mutation.md: numbers by package, and each survivor with its change and why it may live."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import yaml

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs/mutation.md"
JUSTIFIED = HERE / "justified.yaml"
ALIVE = ("survived", "no tests", "suspicious")
PLACES = {"money": "libs/money/src", "payments": "services/payments/src", "settlement": "services/settlement/src"}

HEAD = """# Mutation testing of the rules of money

Written by `make mutants`: [mutmut](https://mutmut.readthedocs.io) changes the rules one small thing at a time, and the unit
tests of `libs/money`, payments and settlement must turn red. Mutated: `libs/money`, `payments/domain`, `settlement/domain` (the
books among it). Left out: the sentences of `errors.py`, and `settlement/domain/link.py` (forms of Razorpay's onboarding, tried
over the sandbox). mutmut changes functions, not tables: the state machines' tables have tests that walk through every pair.
"""


def write_page(stage: Path, mutmut: Path) -> bool:
    """Whether everything ran, every survivor is justified, and they are under 5 %."""

    def ask(*words: str) -> str:
        return subprocess.run([mutmut, *words], cwd=stage, check=True, capture_output=True, text=True).stdout

    statuses = dict(line.strip().rsplit(": ", 1) for line in ask("results", "--all", "true").splitlines() if ": " in line)
    reasons = yaml.safe_load(JUSTIFIED.read_text(encoding="utf-8"))
    table: dict[str, Counter[str]] = {}
    told, bare = [], 0
    for name, status in statuses.items():
        if re.search(r"\.(errors|link)\.", name):
            continue
        package = re.match(r"(money|payments|settlement)\.(domain\.)?", name)
        assert package is not None, name
        table.setdefault(package[1], Counter())[status] += 1
        if status not in ALIVE:
            continue
        removed, added = _change(ask("show", name))
        why = next((reason["why"] for reason in reasons if _fits(reason, name, removed, added)), None)
        bare += why is None
        told.append((_place(name, removed), removed, added, why or "**not justified yet**"))
    total: Counter[str] = sum(table.values(), Counter())
    alive = sum(total[status] for status in ALIVE)
    lines = [HEAD, "| rules | mutants | killed | survive | |", "| --- | --: | --: | --: | --: |"]
    for package, counts in [*sorted(table.items()), ("all", total)]:
        survive = sum(counts[status] for status in ALIVE)
        killed = counts["killed"] + counts["timeout"]
        lines.append(f"| {package} | {counts.total()} | {killed} | {survive} | {100 * survive / counts.total():.1f} % |")
    if left := total["not checked"]:
        lines.append(f"\nNot run: {left}.")
    lines.append(f"\nA mutant that does not come to its end within its time ({total['timeout']} of them) counts as killed.\n")
    lines.append("## Survivors\n\n| where | the change | why it may live |\n| --- | --- | --- |")
    lines += [f"| {place} | `{_cell(removed)}` → `{_cell(added)}` | {why} |" for place, removed, added, why in sorted(told)]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{total.total()} mutants, {alive} survive, {bare} of them not justified, {total['not checked']} not run: {PAGE.name}")
    return not bare and not total["not checked"] and alive < 0.05 * total.total()


def _change(diff: str) -> tuple[str, str]:
    """The lines that were taken out and put in."""
    body = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    return tuple(" ".join(line[1:].strip() for line in body if line.startswith(sign)) for sign in "-+")  # type: ignore[return-value]


def _fits(reason: dict[str, str], name: str, removed: str, added: str) -> bool:
    return bool(re.search(reason["mutant"], name) and re.search(reason.get("change", ""), f"{removed} → {added}"))


def _place(name: str, removed: str) -> str:
    """The file and line of a mutant, as a link: the line that reads as what was taken out, within its function."""
    module, _, mangled = name.rpartition(".")
    path = f"{PLACES[module.partition('.')[0]]}/{module.replace('.', '/')}.py"
    function = re.sub(r"__mutmut_\d+$", "", mangled).replace("xǁ", "").removeprefix("x_").split("ǁ")[-1]
    source = (HERE.parents[1] / path).read_text(encoding="utf-8").splitlines()
    began = next((n for n, line in enumerate(source) if re.match(rf"\s*(async )?def {re.escape(function)}\b", line)), 0)
    first = removed.split("  ")[0]
    line = next((n for n in range(began, len(source)) if source[n].strip() and source[n].strip() in first), began) + 1
    return f"[{Path(path).name}:{line}](../{path}#L{line}) {function}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'")
