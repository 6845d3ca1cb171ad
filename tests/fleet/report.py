"""`python -m tests.fleet.report [SESSIONS] [SEED]`: overspend and what is left, as docs/paid-energy.md has it."""

import sys
from collections.abc import Sequence

from tests.fleet.physics import Behaviour
from tests.fleet.simulation import Result, simulate

BUCKETS_PAISE = (0, 1, 10, 50, 100, 500, 1000, 5000)
BAR = 50
"""Characters of a whole bar."""


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def line(behaviour: Behaviour, results: Sequence[Result]) -> str:
    """One row of the table."""
    over = [result.overspend_paise for result in results]
    left = [result.unspent_paise for result in results]
    seconds = [result.unspent_seconds for result in results]
    lasted = f"{percentile(seconds, 0.5):.1f} / {percentile(seconds, 0.99):.1f}"
    figures = [percentile(over, share) for share in (0.5, 0.9, 0.99)]
    none = 100 * sum(1 for paise in over if paise == 0) / len(over)
    return (
        f"| {behaviour.value} | {len(results)} | {none:.1f} % | {figures[0]} | {figures[1]} | {figures[2]} | {max(over)}"
        f" | {percentile(left, 0.5)} / {percentile(left, 0.99)} | {lasted} |"
    )


def histogram(results: Sequence[Result]) -> str:
    """Sessions by overspend, in text."""
    rows = []
    for low, high in zip(BUCKETS_PAISE, (*BUCKETS_PAISE[1:], None), strict=True):
        count = sum(1 for r in results if r.overspend_paise >= low and (high is None or r.overspend_paise < high))
        name = "0" if high == 1 else f"{low} to {high - 1}" if high is not None else f"{low} and more"
        rows.append(f"{name:>14} paise {count:6d} {'#' * round(BAR * count / len(results))}".rstrip())
    return "\n".join(rows)


def main() -> None:
    """Print it all as Markdown."""
    sessions, seed = (int(text) for text in (*sys.argv[1:], *("300", "7")[len(sys.argv) - 1 :]))
    print("| charger | sessions | no overspend | p50 | p90 | p99 | max paise | left p50 / p99 paise | left p50 / p99 s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    histograms = []
    for behaviour in Behaviour:
        results = simulate(behaviour, sessions, seed=seed)
        print(line(behaviour, results), flush=True)
        histograms.append(f"{behaviour.value}\n{histogram(results)}")
    print("\n```text\n" + "\n\n".join(histograms) + "\n```")


if __name__ == "__main__":
    main()
