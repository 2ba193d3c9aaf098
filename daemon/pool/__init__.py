"""The workers as the service sees them: seats, runs, and what became of each. Loads no torch."""
