"""The `charger-simulator` command."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from charger_simulator import script as scripts
from charger_simulator.clock import SystemClock
from charger_simulator.fleet import Fleet, FleetOptions
from charger_simulator.quirks import BEHAVIOURS, Quirks

app = typer.Typer(
    help="Scriptable OCPP 1.6-J charge points, honest and misbehaving.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Behaviours = Annotated[list[str] | None, typer.Option("--quirk", help="A behaviour by name; may be repeated. See `quirks`.")]


CaFile = Annotated[
    Path | None, typer.Option("--ca", help="PEM with the authorities to trust for wss; those of the machine if absent.")
]


def _trusting(ca: Path | None) -> ssl.SSLContext | None:
    if ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise typer.BadParameter(f"{ca}: {error}") from error


def _until_interrupted(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs `work`; Ctrl-C or SIGTERM cancels it, so that every socket closes cleanly. None if it was cancelled."""

    async def main() -> Any:
        task = asyncio.get_running_loop().create_task(work)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            return await task

    return asyncio.run(main())


def _chosen(names: list[str] | None) -> Quirks:
    try:
        return scripts.quirks_of(names or [])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A YAML script; its form is in the README.")],
    url: Annotated[
        str | None, typer.Option(help="Central system, e.g. ws://localhost:9000/ocpp; goes before the file's.")
    ] = None,
    password: Annotated[str | None, typer.Option(help="Basic auth password; goes before the file's common one.")] = None,
    ca: CaFile = None,
) -> None:
    """Plays a script. Exits with 1 if an expectation of it fails, with 2 if it can't be read."""
    try:
        script = scripts.load(file)
    except (OSError, ValueError) as error:
        typer.echo(f"{file}: {error}", err=True)
        raise typer.Exit(2) from error
    script.url = url or script.url
    script.password = password or script.password
    if not all(station.url or script.url for station in script.charge_points):
        raise typer.BadParameter("neither the script nor --url says where the central system is")
    failures = _until_interrupted(scripts.run(script, SystemClock(), typer.echo, ssl_context=_trusting(ca)))
    for failure in failures or []:
        typer.echo(f"failed: {failure}", err=True)
    raise typer.Exit(1 if failures or failures is None else 0)


@app.command()
def fleet(
    url: Annotated[str, typer.Option(help="Central system, e.g. ws://localhost:9000/ocpp")],
    count: Annotated[int, typer.Option(min=1, help="Charge points.")] = 10,
    id_format: Annotated[str, typer.Option(help="Python format of the ids; {n} is the number.")] = "SIM{n:05d}",
    first: Annotated[int, typer.Option(min=0, help="Number of the first.")] = 1,
    password: Annotated[str | None, typer.Option(help="Basic auth password; {id} is replaced.")] = None,
    connects_per_second: Annotated[float, typer.Option(min=0.1, help="How fast they connect.")] = 100.0,
    power: Annotated[int, typer.Option(min=0, help="Rated power, W.")] = 7400,
    meter_values: Annotated[int, typer.Option(min=0, help="MeterValueSampleInterval, s; the central system may change it.")] = 30,
    plugged: Annotated[bool, typer.Option("--plugged", help="An EV stands at each: RemoteStart charges at once.")] = False,
    id_tag: Annotated[str | None, typer.Option(help="Start a transaction with this tag at once.")] = None,
    quirk: Behaviours = None,
    duration: Annotated[float | None, typer.Option(min=0.1, help="Seconds; until Ctrl-C if absent.")] = None,
    report: Annotated[float, typer.Option(min=0.1, help="Seconds between lines of progress.")] = 10.0,
    ca: CaFile = None,
) -> None:
    """Keeps many charge points connected and prints lines of progress."""
    options = FleetOptions(
        url=url,
        count=count,
        id_format=id_format,
        first=first,
        password=password,
        connects_per_second=connects_per_second,
        rated_power_w=power,
        meter_values_seconds=meter_values,
        plugged=plugged,
        id_tag=id_tag,
        quirks=_chosen(quirk),
        duration_seconds=duration,
        report_seconds=report,
        ssl_context=_trusting(ca),
    )

    async def work() -> None:
        await Fleet(options, SystemClock(), typer.echo).run()

    _until_interrupted(work())


@app.command()
def quirks() -> None:
    """Lists the behaviours by name, then the single fields."""
    width = max(len(name) for name in [*BEHAVIOURS, *Quirks.model_fields])
    typer.echo("Behaviours (--quirk NAME, or `quirks: [NAME]` in a script):")
    for name, (meaning, _) in BEHAVIOURS.items():
        typer.echo(f"  {name:<{width}}  {meaning}")
    typer.echo("\nFields (`quirks: {FIELD: value}` in a script):")
    for name, info in Quirks.model_fields.items():
        typer.echo(f"  {name:<{width}}  {info.description}")
