"""How every Python of ours begins: with this package's code alone, and whatever it was started by.

`python -m` puts the working directory first, so that ./random.py would be run by whatever draws
random numbers. Children are started from this file (`process.python`), which needs no search path
to find the package, be it installed or a checkout; `python -m daemon` begins with `seal_path`.
"""

import contextlib
import os
import resource
import signal
import sys

HERE = os.path.abspath(__file__)  # noqa: PTH100
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))  # noqa: PTH120


OPEN_FILES = 1024
"""As many as systems usually grant; ledgers, workers and watches take some hundred at most."""


def prepare_process() -> None:
    """Makes good what a command may inherit from whoever starts it, before it does anything."""
    speak_utf8()
    # Where it is ignored, nobody could be told how a child ended; a blocked SIGTERM stops nothing.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.umask(os.umask(0o077) & 0o077)  # what we make we can read, whatever others may
    allow_open_files(OPEN_FILES)


def allow_open_files(count: int) -> int:
    """Lets this process have so many files open, or as many as the system lets it: how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return count if soft == resource.RLIM_INFINITY else min(soft, count)


def speak_utf8() -> None:
    """Begins anew in UTF-8 where a locale says otherwise: names in config.yaml could not be opened.

    The process stays the same one to whoever started it.
    """
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def seal_path() -> None:
    """Takes what `-m` put first out of the search path: the folder where one stands.

    The package's own root goes to the end instead, where a checkout's editable installation has it.
    """
    if not sys.flags.safe_path:
        del sys.path[:1]
    if ROOT not in sys.path:
        sys.path.append(ROOT)


def main() -> None:
    """Runs the module that is named first, with the other arguments as its own."""
    sys.path.insert(0, ROOT)  # for this one import: another package may have our name
    import daemon  # noqa: F401

    sys.path.remove(ROOT)
    seal_path()
    import runpy

    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
