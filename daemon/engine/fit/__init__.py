"""Fitting a pass into memory: tiles, plans, scratch files, and how much there is."""
