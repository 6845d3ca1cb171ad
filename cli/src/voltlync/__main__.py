"""`python -m voltlync`."""

from voltlync.cli import app

app()
