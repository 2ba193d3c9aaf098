"""One device's worker: what it was asked to stop, and what it is given after that."""

from collections.abc import Callable

from puppet import Puppet

from daemon.worker.pool import Slot


def test_run_that_stopped_in_time_and_goes_on_in_the_same_worker_is_not_ended(
    children: list[Puppet], timers: list[Callable[[], object]]
) -> None:
    slot = Slot("cpu", [], lambda run, message: None)
    stopped = slot.submit("j1", {})
    slot.cancel("j1", grace_s=60.0)
    children[0].say(event="cancelled", run="j1")
    assert stopped.exception(timeout=5.0) is not None
    slot.submit("j1", {})
    timers[0]()
    assert children[0].alive and len(children) == 1


def test_run_that_does_not_stop_in_time_is_ended_with_its_worker(
    children: list[Puppet], timers: list[Callable[[], object]]
) -> None:
    slot = Slot("cpu", [], lambda run, message: None)
    future = slot.submit("j1", {})
    slot.cancel("j1", grace_s=60.0)
    timers[0]()
    assert not children[0].alive
    assert "was ended" in str(future.exception(timeout=5.0))
