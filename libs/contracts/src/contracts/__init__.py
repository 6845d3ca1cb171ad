"""Every event, command and query that crosses a service boundary, and the broker topology."""
