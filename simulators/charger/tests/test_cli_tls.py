"""Whom the command trusts for wss."""

import pytest
from typer.testing import CliRunner

from charger_simulator.cli import app


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_authorities_that_cannot_be_read_are_said_before_anything_connects(tmp_path, content):
    ca = tmp_path / "ca.pem"
    if content is not None:
        ca.write_text(content)
    outcome = CliRunner().invoke(app, ["fleet", "--url", "wss://127.0.0.1:1/ocpp", "--ca", str(ca), "--duration", "1"])
    assert outcome.exit_code == 2
    assert "ca.pem" in "".join(outcome.output.replace("│", "").split())  # however long the path, and wherever it is broken
