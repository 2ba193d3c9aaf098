"""`python -m daemon` is the same as `atelierd`."""

from daemon.host.start import seal_path

seal_path()

from daemon.launch import main  # noqa: E402  # not before it is known where code is looked for

main()
