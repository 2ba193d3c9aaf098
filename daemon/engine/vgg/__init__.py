"""VGG-19: its geometry, its weights, and the arithmetic that computes it fastest here."""
