"""What travels to a node to be called there. It goes by value, for the scheduler has none of it."""

from typing import Any


def paint(payload: dict[str, Any]) -> None:
    """Paints a run on the node's device, to its end; what becomes of it is told as an event."""
    from distributed import get_worker

    worker: Any = get_worker()
    worker.painter.paint(payload)


def ask(request: dict[str, Any], dask_worker: Any) -> None:
    """Asks a node for something that takes no time: to cancel or end a run, to rest, to warm."""
    dask_worker.painter.obey(request)
