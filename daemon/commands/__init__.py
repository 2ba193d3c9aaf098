"""What the command line does without the service: one picture, a cancelled job, another try. Each
is a function of what was typed and the configuration; jobs are asked for through the ledger.
"""
