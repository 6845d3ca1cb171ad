"""The commands. Each loads what it needs only when it is called, so that `voltlync --help` answers at once."""

import asyncio

import typer

from voltlync.dead import app as dead

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="VoltLync on one machine.")
app.add_typer(dead, name="dead")


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
