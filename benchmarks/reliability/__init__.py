"""What docs/reliability.md promises, tried for longer than a test may take."""
