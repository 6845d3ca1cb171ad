"""`voltlync dead`: what consumers gave up, why, and back to work with it once the cause is mended."""

import os
from typing import Annotated

import typer

from contracts.topology import TOPOLOGY

app = typer.Typer(no_args_is_help=True, help="Dead letters: list, show, replay.")

QUEUES = [queue.name for queue in TOPOLOGY.queues]

Url = Annotated[
    str,
    typer.Option(envvar="VOLTLYNC_ADMIN_AMQP_URL", help="An administrator's amqp:// address; default: this checkout's make run."),
]


def _address(url: str) -> str:
    from voltlync.world import Addresses

    return url or os.environ.get("VOLTLYNC_ADMIN_AMQP_URL") or Addresses.of_running().admin_amqp_url


def _known(queue: str) -> str:
    name = queue.removesuffix(".dead")
    if name not in QUEUES:
        raise typer.BadParameter(f"no such queue; one of {', '.join(QUEUES)}")
    return name


Queue = Annotated[str, typer.Argument(callback=_known, help="The working queue's name, e.g. payments.events")]


@app.command("list")
def list_(url: Url = "") -> None:
    """Queues with parked messages, and how many."""
    import asyncio

    from chassis.messaging.dead import list_dead

    counts = {name: count for name, count in asyncio.run(list_dead(_address(url), QUEUES)).items() if count}
    for name, count in counts.items():
        typer.echo(f"{count:6}  {name}")
    if not counts:
        typer.echo("Nothing is parked.")


@app.command()
def show(queue: Queue, limit: int = 20, url: Url = "") -> None:
    """The first parked messages of a queue with their reasons; they stay parked."""
    import asyncio

    from chassis.messaging.dead import show_dead

    for letter in asyncio.run(show_dead(_address(url), queue, limit=limit)):
        typer.echo(f"{letter.message_id}  {letter.type}")
        typer.echo(f"  since    {letter.first_failure}, {letter.attempts} attempts in {letter.handler}")
        typer.echo(f"  reason   {letter.reason}\n  body     {letter.body[:400].decode(errors='replace')}")


@app.command()
def replay(
    queue: Queue,
    message_id: Annotated[str | None, typer.Option(help="Only the message with this id.")] = None,
    limit: int = 1000,
    url: Url = "",
) -> None:
    """Put parked messages back into their queue. Handlers are idempotent: what was done already is not done again."""
    import asyncio

    from chassis.messaging.dead import replay_dead

    typer.echo(f"{asyncio.run(replay_dead(_address(url), queue, message_id=message_id, limit=limit))} put back into {queue}.")
