"""`razorpay-simulator`: the sandbox as a command."""

import asyncio
import logging
import signal
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from razorpay_simulator.settings import SandboxSettings, WebhookSettings
from razorpay_simulator.simulator import RazorpaySimulator

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A sandbox that speaks Razorpay's REST API.")
DEFAULTS = SandboxSettings()


@app.callback()
def main() -> None:
    """A sandbox that speaks Razorpay's REST API and sends its signed webhooks."""


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to bind. The control API has no authentication: keep it local.")] = (
        DEFAULTS.host
    ),
    port: Annotated[int, typer.Option(help="Port; 0 takes any free one.")] = 8900,
    webhook_url: Annotated[list[str] | None, typer.Option(help="Receiver of webhooks; may be given more than once.")] = None,
    webhook_secret: Annotated[str, typer.Option(envvar="RAZORPAY_WEBHOOK_SECRET")] = "sandbox-webhook-secret",  # noqa: S107
    key_id: Annotated[str, typer.Option(envvar="RAZORPAY_KEY_ID")] = DEFAULTS.key_id,
    key_secret: Annotated[str, typer.Option(envvar="RAZORPAY_KEY_SECRET")] = DEFAULTS.key_secret,
    other_key_id: Annotated[
        str | None, typer.Option(help="A key of the other mode (rzp_live_… beside rzp_test_…): a world of its own.")
    ] = None,
    other_key_secret: Annotated[str, typer.Option(help="The other mode's secret.")] = DEFAULTS.other_key_secret,
    account_id: Annotated[str, typer.Option(help="The account's own id.")] = DEFAULTS.account_id,
    state: Annotated[Path | None, typer.Option(help="JSON file in which the state survives a restart.")] = None,
    opening_balance: Annotated[int, typer.Option(help="Paise in an empty sandbox.")] = 0,
    instant_refund_after: Annotated[float, typer.Option(help="Seconds until a refund at optimum speed is processed.")] = (
        DEFAULTS.instant_refund_seconds
    ),
    normal_refund_after: Annotated[float, typer.Option(help="Seconds until a normal refund is processed.")] = (
        DEFAULTS.normal_refund_seconds
    ),
    transfer_after: Annotated[float, typer.Option(help="Seconds until a transfer is processed.")] = DEFAULTS.transfer_seconds,
    settle_after: Annotated[float | None, typer.Option(help="Seconds until a transfer is settled (default: two days).")] = (
        DEFAULTS.linked_settlement_seconds
    ),
    activate_after: Annotated[
        float | None, typer.Option(help="Seconds until a complete linked account is activated (default: only on demand).")
    ] = None,
    webhook_retry_after: Annotated[float, typer.Option(help="Seconds until a webhook is sent again; each retry doubles it.")] = (
        DEFAULTS.retry_first_seconds
    ),
    webhook_time_scale: Annotated[float, typer.Option(help="How much faster than life webhooks are retried and given up.")] = (
        DEFAULTS.webhook_time_scale
    ),
    event_spread: Annotated[float, typer.Option(help="Events are first sent at a random moment within these seconds.")] = (
        DEFAULTS.event_spread_seconds
    ),
    settle_own_after: Annotated[
        float | None, typer.Option(help="Seconds until a captured payment is paid out to the parent (default: only on demand).")
    ] = None,
) -> None:
    """Serve until interrupted."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = SandboxSettings(
            host=host,
            port=port,
            webhooks=[WebhookSettings(url=url, secret=webhook_secret) for url in webhook_url or []],
            key_id=key_id,
            key_secret=key_secret,
            other_key_id=other_key_id,
            other_key_secret=other_key_secret,
            account_id=account_id,
            state_file=state,
            opening_balance=opening_balance,
            instant_refund_seconds=instant_refund_after,
            normal_refund_seconds=normal_refund_after,
            transfer_seconds=transfer_after,
            linked_settlement_seconds=settle_after,
            activation_seconds=activate_after,
            retry_first_seconds=webhook_retry_after,
            webhook_time_scale=webhook_time_scale,
            event_spread_seconds=event_spread,
            own_settlement_seconds=settle_own_after,
        )
    except ValidationError as error:
        for problem in error.errors():
            typer.echo(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}", err=True)
        raise typer.Exit(2) from None
    asyncio.run(_serve(settings))


async def _serve(settings: SandboxSettings) -> None:
    try:
        simulator = RazorpaySimulator(settings)
    except ValueError as error:
        typer.echo(f"cannot read the state in {settings.state_file}: {error}", err=True)
        raise typer.Exit(1) from None
    interrupted = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, interrupted.set)
    try:
        await simulator.start()
    except OSError as error:
        typer.echo(f"cannot serve at {settings.host}:{settings.port}: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"Razorpay sandbox at {simulator.base_url}  (key {settings.key_id}, control API under /_sandbox, payers at /pay)")
    await interrupted.wait()
    await simulator.stop()
