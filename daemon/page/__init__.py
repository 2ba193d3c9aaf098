"""The page: what people at their browsers see of the service and ask of it. A process of its own
that never loads torch or numpy, reads the ledger, and changes things the way the command line does.
"""
