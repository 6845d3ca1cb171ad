"""What payments does, one verb per file."""
