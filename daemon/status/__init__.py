"""What people and monitors see of the service. The service writes what it does; the rest reads that
and the ledger, even if the service hangs.
"""
