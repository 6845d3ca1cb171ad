"""SQL, by what it is about. Functions take a connection and return rows as dataclasses; none commits."""
