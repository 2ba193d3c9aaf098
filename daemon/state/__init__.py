"""What lies in the state folder: the spool, the lock, the pause, and where it is mounted."""
