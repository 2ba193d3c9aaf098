"""The service: a list of parts that meet in the ledger, and what each of them decides."""
