"""The `voltlync` command: runs everything on one machine, and what operators do from a shell."""
