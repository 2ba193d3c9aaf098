"""Seeing pictures, waiting until they are whole, and claiming them into the ledger."""
