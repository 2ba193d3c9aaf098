"""Publishing: results, records, logs, originals and failures, whole or not at all. The record comes
before its result; publishing is safe to repeat and replaces nothing.
"""
