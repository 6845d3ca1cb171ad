"""One verb per file: the single place that does the thing."""
