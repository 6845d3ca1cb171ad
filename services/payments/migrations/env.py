"""Alembic's entry."""

from chassis.database.migrate import run_env

run_env()
