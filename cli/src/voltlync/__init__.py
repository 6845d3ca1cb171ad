"""The voltlync command."""
