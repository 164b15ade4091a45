"""Models trained elsewhere: each becomes a model package that runs in our loop."""
