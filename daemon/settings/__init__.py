"""What people write: the configuration, presets, hooks and hours, read strictly. All that is wrong
is told at once, with its line; damage leaves the last good version in use.
"""
