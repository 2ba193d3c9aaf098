"""Telling others of jobs that are over: commands and addresses that config.yaml names. Each is told
at least once and in order, and again later where that fails.
"""
