"""`python -m daemon` is the same as `atelierd`."""

from daemon.start import begin, seal_path

seal_path()
begin()
