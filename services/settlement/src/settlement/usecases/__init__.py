"""What settlement does, one verb per file. Each takes the service's collaborators first."""
