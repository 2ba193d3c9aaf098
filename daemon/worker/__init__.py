"""Running jobs in child processes, one per device; only the child loads torch."""
