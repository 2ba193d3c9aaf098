"""What `bench/judge.py` is made of: pairs, their painting, the figures, tables and sheets.

Imports nothing beside it but the library, so that tests can import it as `bench.judging`.
"""
