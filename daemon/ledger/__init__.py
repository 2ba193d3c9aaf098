"""The durable queue: the only truth about jobs, and the only room that knows SQLite."""
