"""Fitting a pass into memory: tiles, plans, scratch files, and how much there is. What a tile owns
adds up to the whole picture, exactly; a plan is the fastest way that fits.
"""
