"""The commands. Each loads what it needs only when it is called, so that `voltlync --help` answers at once."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from voltlync.books.command import app as books
from voltlync.dead import app as dead

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="VoltLync on one machine.")
app.add_typer(dead, name="dead")
app.add_typer(books, name="books")


@app.callback()
def main() -> None:
    """VoltLync on one machine."""
    import logging

    import structlog

    # What the libraries tell an operator's log is noise in a command's output; warnings are not.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


@app.command()
def up(
    *,
    play: bool = typer.Option(default=True, help="Play one paid session when everything is up."),
    free_ports: bool = typer.Option(default=False, help="Any free ports in place of the usual ones."),
) -> None:
    """Start everything, seed a network, play one paid session, stay up. Ctrl-C ends all; data stay in .run."""
    from voltlync.up import up as run

    raise typer.Exit(asyncio.run(run(play=play, free_ports=free_ports)))


@app.command()
def migrate() -> None:
    """Start the servers, apply migrations, declare the broker's topology, stop."""
    from voltlync.up import installation_of_this_checkout, say

    async def run() -> None:
        async with installation_of_this_checkout():
            say("Migrated and declared.")

    asyncio.run(run())


@app.command()
def doctor() -> None:
    """Say what is here and what is missing; fails if `make run` could not work."""
    from voltlync.doctor import findings

    found = findings()
    for fine, sentence in found:
        typer.echo(f"{'ok      ' if fine else 'MISSING '}{sentence}")
    raise typer.Exit(0 if all(fine for fine, _ in found) else 1)


@app.command()
def reset() -> None:
    """Forget the data, logs and credentials of `make run`."""
    from voltlync.reset import reset as forget

    try:
        forget()
    except RuntimeError as refusal:
        typer.echo(str(refusal), err=True)
        raise typer.Exit(1) from None
    typer.echo("Forgotten.")


@app.command()
def provision() -> None:
    """Prepare servers that run elsewhere: users, tables, queues. For containers; addresses and secrets come from the environment.

    VOLTLYNC_ADMIN_DATABASE_URL, VOLTLYNC_ADMIN_AMQP_URL, VOLTLYNC_ADMIN_RABBITMQ_URL (its management API), and the variables that
    `voltlync dotenv` writes.
    """
    import os

    from voltlync.dotenv import credentials_from
    from voltlync.provision import import_definitions, prepare

    credentials = credentials_from(dict(os.environ))

    async def run() -> None:
        await import_definitions(os.environ["VOLTLYNC_ADMIN_RABBITMQ_URL"], credentials)
        await prepare(
            admin_dsn=os.environ["VOLTLYNC_ADMIN_DATABASE_URL"],
            admin_amqp_url=os.environ["VOLTLYNC_ADMIN_AMQP_URL"],
            database_passwords=credentials.database_passwords,
        )

    asyncio.run(run())
    typer.echo("Users, tables and queues are in place.")


@app.command()
def dotenv() -> None:
    """Print a .env with fresh secrets for docker compose."""
    from voltlync.credentials import Credentials
    from voltlync.dotenv import dotenv as text

    typer.echo(text(Credentials.make()), nl=False)


@app.command()
def schemas() -> None:
    """Write docs/schemas: the JSON Schema of every message."""
    from voltlync.generated import write_schemas

    for path in write_schemas():
        typer.echo(f"written: {path}")


@app.command()
def docs() -> None:
    """Write the generated pages: docs/events.md, docs/asyncapi.json, .env.example."""
    from voltlync.generated import pages, write

    for path in write(pages()):
        typer.echo(f"written: {path}")


@app.command()
def demo() -> None:
    """Play sessions against a running `make run`."""
    from voltlync.demo import SessionWentWrong, show_more_sessions
    from voltlync.seed import seed
    from voltlync.world import Addresses, NothingRuns, Refused, World

    async def run() -> None:
        async with World.at(Addresses.of_running()) as world:
            await show_more_sessions(world, await seed(world, typer.echo), typer.echo)

    try:
        asyncio.run(run())
    except (NothingRuns, Refused, SessionWentWrong, TimeoutError) as failure:
        typer.echo(str(failure), err=True)
        raise typer.Exit(1) from None


@app.command()
def replay(
    trace: Annotated[Path, typer.Argument(help="A recorded OCPP log: JSON lines, see docs/replay.md.")],
    *,
    diff: Annotated[Path | None, typer.Option(help="An earlier replay's --json file: show what is different now.")] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="Write what came of it to this file.")] = None,
    paise: Annotated[int, typer.Option(min=1, help="What riders paid, if the log has a RemoteStart and no payment.")] = 100_000,
) -> None:
    """Run a recorded OCPP log through today's gateway and charging, in a sandbox; print states, energy and decisions."""
    import json

    from voltlync.replay.command import difference, load_trace, table
    from voltlync.replay.command import replay as run
    from voltlync.replay.trace import TraceError

    try:
        loaded = load_trace(trace)
        old = json.loads(diff.read_text()) if diff is not None else None
    except (TraceError, OSError, ValueError) as refusal:
        typer.echo(f"Can't replay: {refusal}", err=True)
        raise typer.Exit(2) from None
    outcome = asyncio.run(run(loaded, paise=paise, tell=typer.echo))
    typer.echo("")
    for line in table(outcome):
        typer.echo(line)
    if json_out is not None:
        json_out.write_text(json.dumps(outcome.as_json(), indent=1) + "\n")
    if old is not None:
        different = difference(old, outcome.as_json())
        typer.echo("\n".join(different) if different else "As it was then.")
        raise typer.Exit(1 if different else 0)
