"""Fuzzed frames against a live gateway: `make fuzz`, `python -m tests.fuzz --frames 1000000 --seed N [--only K]`.

    corpus.py     what real charge points say, every action
    mutate.py     frame K of seed N: always the same bytes
    oracle.py     which frames must be answered, and how often at most; shares no code with the gateway
    wire.py       a WebSocket client that can also write what RFC 6455 forbids
    world.py      private servers, a real gateway process, charging's side of the broker (which checks each event's contract)
    run.py        attackers, witnesses, memory, the verdict

What must hold: the process lives, its log holds no error and its memory stays flat; each answerable frame gets one answer and
nothing gets more; no attacker's socket ends but by WebSocket garbage; honest sockets in between notice nothing.
"""
