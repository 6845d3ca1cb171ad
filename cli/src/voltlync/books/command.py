"""`voltlync books verify`. It loads what it needs only when it is called."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from voltlync.books.verify import Verdict

app = typer.Typer(no_args_is_help=True, help="The double-entry books.")

ON_ITS_WAY = timedelta(minutes=2)
"""What is younger may still travel between services: it is not compared, unless asked for."""


@app.callback()
def books() -> None:
    """The double-entry books."""


@app.command()
def verify(
    from_: Annotated[
        str | None, typer.Option("--from", help="Compare what happened from then on: 2026-11-30, or with a time.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="Compare what happened before. Default: two minutes ago.")] = None,
    door: Annotated[
        str | None, typer.Option(envvar="VOLTLYNC_DOOR_URL", help="The door; default: this checkout's make run.")
    ] = None,
) -> None:
    """Derive every journal and balance again from raw records, through the door; name the first row that differs (exit 1).

    Elsewhere than beside `make run` the access token of somebody of finance comes from VOLTLYNC_TOKEN.
    """
    from voltlync.books import run as books_run
    from voltlync.world import NothingRuns, Refused

    since, until = _moment(from_, "--from"), _moment(to, "--to") or datetime.now(UTC) - ON_ITS_WAY

    async def run() -> "Verdict":
        async with books_run.door(door) as get:
            return await books_run.verified(get, typer.echo, from_=since, to=until)

    try:
        verdict = asyncio.run(run())
    except (NothingRuns, Refused, OSError) as failure:
        typer.echo(str(failure), err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(1 if verdict.differences else 0)


def _moment(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time; write 2026-11-30 or 2026-11-30T18:00:00+05:30", param_hint=option
        ) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
