"""`identity-simulator`: the issuer as a command."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from identity_simulator.personas import ROLES
from identity_simulator.simulator import AUDIENCE, IdentitySimulator, NotInProduction

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A local OIDC issuer that stands in for Clerk.")


@app.callback()
def main() -> None:
    """A local OIDC issuer with discovery, JWKS, and RS256 tokens for five personas."""


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address to bind. Anyone who reaches it is an administrator: keep it local.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes any free one.")] = 8901,
    issuer: Annotated[
        str | None, typer.Option(envvar="VOLTLYNC_OIDC_ISSUER", help="The `iss` of its tokens; default: where it listens.")
    ] = None,
    audience: Annotated[str, typer.Option(help="The `aud` of its tokens.")] = AUDIENCE,
    state: Annotated[Path | None, typer.Option(help="JSON file that keeps the keys over a restart.")] = None,
    redirect_origin: Annotated[
        list[str] | None,
        typer.Option(help="Origin that a sign-in may return to, beside this machine; may be given more than once."),
    ] = None,
) -> None:
    """Serve until interrupted."""
    try:
        simulator = IdentitySimulator(
            host=host,
            port=port,
            issuer=issuer,
            audience=audience,
            state_file=state,
            redirect_origins=tuple(redirect_origin or ()),
        )
    except NotInProduction as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        typer.echo(f"cannot use the state in {state}: {error}", err=True)
        raise typer.Exit(1) from None
    asyncio.run(_serve(simulator))


async def _serve(simulator: IdentitySimulator) -> None:
    interrupted = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, interrupted.set)
    try:
        await simulator.start()
    except OSError as error:
        typer.echo(f"cannot serve: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"Identity sandbox at {simulator.base_url}  (issuer {simulator.issuer}; personas {', '.join(ROLES)})")
    await interrupted.wait()
    await simulator.stop()
