"""Alembic's entry: everything is the chassis's."""

from chassis.database.migrate import run_env

run_env()
