"""Seeing pictures, waiting until they are whole, and claiming them into the ledger. A scan is the
truth, events are hints; a claim is a row, then a rename, then a copy, so that a crash anywhere
leaves what the next start finishes or takes back.
"""
