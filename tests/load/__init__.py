"""Benchmarks: `make bench`. Ratios taken in one run; rows stored are counted, never acknowledgements alone."""
