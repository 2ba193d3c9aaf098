"""Telling others of jobs that are over: commands and addresses that config.yaml names."""
