"""Long runs in which everything goes wrong at random: `python -m tests.torture`."""
