"""What lies in the state folder: the spool, the lock, the pause, and where it is mounted. One
service at a time holds it. Its copies are its own, so that what changes outside changes nothing
that is queued.
"""
