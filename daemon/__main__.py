"""`python -m daemon` is the same as `atelierd`."""

from daemon.cli import main

main()
