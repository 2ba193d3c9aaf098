"""VGG-19: its geometry, its weights, and the arithmetic that computes it fastest here. Its layers
are known without torch; it goes forwards and backwards by code of its own, since the weights
never change.
"""
