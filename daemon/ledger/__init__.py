"""The durable queue: the only truth about jobs, and the only room that knows SQLite. Every
transition names the state it comes from and its owner; no row changed is an error.
"""
