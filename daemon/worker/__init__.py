"""Running jobs in child processes, one per device; only the child loads torch. A child speaks JSON
lines, keeps its engine warm, and leaves a checkpoint to the next one.
"""
