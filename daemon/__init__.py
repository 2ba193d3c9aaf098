"""atelierd: a folder that paints. Drop a photograph in, find the picture in the outbox."""

__version__ = "0.1.0"
