"""The workers as the service sees them: seats, runs, and what became of each. Loads no torch. A
worker that is lost, out of memory or asked to stop is told apart; what becomes of its run is
decided by pure functions.
"""
