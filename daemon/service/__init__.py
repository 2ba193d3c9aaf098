"""The service: a list of parts that meet in the ledger, and what each of them decides. None of them
waits for another's folder; what may run is decided anew at every tick.
"""
