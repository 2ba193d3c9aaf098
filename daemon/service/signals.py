"""What signals ask of the service."""

import signal

STOP = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """SIGTERM and SIGINT ask to stop, SIGHUP to read the settings anew, SIGUSR1 to log the status.

    The handler only sets flags: an Event's lock might be held by the very code it interrupts.
    """

    stop = reload = report = False

    def heed(self) -> None:
        """Takes the signals from now on."""
        for number in (*STOP, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: object) -> None:
        self.reload |= number == signal.SIGHUP
        self.report |= number == signal.SIGUSR1
        if number in STOP:
            self.stop = True
            for again in STOP:  # the second one ends at once; children end with their input, and
                signal.signal(again, signal.SIG_DFL)  # the next start mends
