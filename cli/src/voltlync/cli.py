"""The commands. Each loads what it needs only when it is called, so that `voltlync --help` answers at once."""

import asyncio

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="VoltLync on one machine.")


@app.command()
def up(*, play: bool = typer.Option(default=True, help="Play one paid session when everything is up.")) -> None:
    """Start everything, seed a network, play one paid session, stay up. Ctrl-C ends all; data stay in .run."""
    from voltlync.up import up as run

    raise typer.Exit(asyncio.run(run(play=play)))


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
