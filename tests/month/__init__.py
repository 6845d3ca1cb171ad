"""A month of a network's money: 50 chargers, thousands of sessions, everything that goes wrong, and the books proved at its end.

    python -m tests.month [--sessions 3000] [--seed 7] [--write]

`plan.py` draws the month (pure, from a seed), `field.py` stands in for the gateway and its chargers, `world.py` is all services
over real servers, `play.py` lets the month happen, `seeds.py` are the errors that `voltlync books verify` must name.
"""
