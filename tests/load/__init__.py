"""Measurements on real processes: `make bench`, and `python -m tests.load {bench,gateway,payments,storm,webhooks}`.

    processes.py     CPU and memory of a server process; the bare server; the light charge points (drive.py) in their own process
    installed.py     a whole installation on private servers, with chargers put straight into its database
    gateway.py       the gateway alone against the bare server, from 100 to 5,000 chargers
    payments.py      from a rider's payment to RemoteStartTransaction on the socket, in quiet and behind a fleet that left
    storm.py         a fleet of simulated charge points that reconnects within two seconds
    webhooks.py      Razorpay's webhooks at a steady rate: answered in time, stored once
    bench.py         all but the storm and the webhooks, as Markdown

Ratios of one run count; rows stored are counted, never acknowledgements alone.
"""
