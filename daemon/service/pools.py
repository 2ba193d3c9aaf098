"""Chooses the pool that a configuration asks for: this machine's devices, a fleet's nodes, or both.

Nothing of a fleet is loaded where none is configured.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from daemon.pool.combined import CombinedPool
from daemon.pool.devices import shares_of
from daemon.pool.face import OnEvent, WorkerPool
from daemon.pool.local import LocalPool
from daemon.settings.config import Config

MakePool = Callable[[Config, Sequence[str], OnEvent], WorkerPool]


def make_pool(config: Config, devices: Sequence[str], on_event: OnEvent) -> WorkerPool:
    """Makes the pool of a configuration.  devices: this machine's, none where only nodes paint."""
    pools: list[WorkerPool] = []
    if devices:
        shares = shares_of(devices, config)
        workers = [replace(config.worker(one.device), **asdict(one)) for one in shares]
        pools.append(LocalPool(workers, on_event))
    if config.fleet is not None:
        from daemon.pool.dask import DaskPool

        pools.append(DaskPool(config.fleet.place(config.state), config.worker(""), on_event))
    return pools[0] if len(pools) == 1 else CombinedPool(pools)


def workers_of(config: Config, devices: Sequence[str]) -> object:
    """All that a pool is made of, to be compared: others mean another pool."""
    workers = [config.worker(device) for device in (*devices, "")]
    return config.fleet, config.per_device, workers
