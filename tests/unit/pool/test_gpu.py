"""What the driver tells of a GPU's memory; NVML itself is played."""

import functools
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from daemon.pool import gpu
from daemon.pool import memory as usage

GIB = 1 << 30
NOBODY = 1 << 30  # beyond every process id
US, PARENT = os.getpid(), os.getppid()


@dataclass
class Card:
    """A GPU as NVML sees it: what each process holds, by its number."""

    uuid: str
    name: str = "H100"
    used: int = 0
    computing: dict[int, int | None] = field(default_factory=dict)
    drawing: dict[int, int | None] = field(default_factory=dict)


class Driver:
    """NVML with these cards, in the order of the bus."""

    NVMLError = pynvml.NVMLError
    NVMLError_FunctionNotFound = pynvml.NVMLError_FunctionNotFound
    nvmlMemory_v2 = pynvml.nvmlMemory_v2

    def __init__(self, *cards: Card, missing: bool = False, old: bool = False) -> None:
        self.cards, self.missing, self.old = list(cards), missing, old
        self.greetings = 0
        self.lost = False

    def nvmlInit(self) -> None:
        self.greetings += 1
        if self.missing:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:
        return self.cards[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Card:
        for card in self.cards:
            if card.uuid == uuid:
                return card
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)

    def nvmlDeviceGetUUID(self, card: Card) -> str:
        return card.uuid

    def nvmlDeviceGetName(self, card: Card) -> str:
        return card.name

    def nvmlDeviceGetMemoryInfo(self, card: Card, version: int | None = None) -> Any:
        if self.lost:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        if version is not None and self.old:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        return SimpleNamespace(used=card.used, total=80 * GIB)

    def nvmlDeviceGetComputeRunningProcesses(self, card: Card) -> list[Any]:
        return [SimpleNamespace(pid=p, usedGpuMemory=b) for p, b in card.computing.items()]

    def nvmlDeviceGetGraphicsRunningProcesses(self, card: Card) -> list[Any]:
        return [SimpleNamespace(pid=p, usedGpuMemory=b) for p, b in card.drawing.items()]


def used_by_others(device: str, own_pids: Collection[int]) -> int | None:
    memory = usage.cuda_memory(device, own_pids)
    return memory.others_bytes if memory else None


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    played = Driver(Card("GPU-aaa1"), Card("GPU-bbb2"), Card("MIG-ccc3"))
    monkeypatch.setattr(gpu, "pynvml", played)
    gpu.start.cache_clear()
    yield played
    gpu.start.cache_clear()


def test_without_a_driver_there_is_nothing_to_tell(driver: Driver) -> None:
    driver.missing = True
    assert gpu.memory("cuda:0") is None
    assert gpu.processes("cuda:0") == []
    assert used_by_others("cuda:0", {US}) is None
    assert usage.cuda_memory("cuda:0", {US}) is None


def test_machine_of_the_tests_has_no_driver_or_one_that_answers() -> None:
    """The real library, whichever there is."""
    gpu.start.cache_clear()
    found = gpu.memory("cuda:0", {})
    assert found is None or 0 <= found.used_bytes <= found.total_bytes
    gpu.start.cache_clear()


@pytest.mark.parametrize("old", [False, True])
def test_memory_is_everybodys_and_own_that_of_our_processes(driver: Driver, old: bool) -> None:
    driver.old = old
    driver.cards[0] = Card("GPU-aaa1", used=9 * GIB, computing={US: 4 * GIB, PARENT: 5 * GIB})
    assert gpu.memory("cuda:0") == gpu.GpuMemory(9 * GIB, 80 * GIB)
    told = usage.cuda_memory("cuda:0", [US])
    assert told == usage.DeviceMemory("cuda:0", 9 * GIB, 4 * GIB, 80 * GIB, 5 * GIB)
    assert used_by_others("cuda:0", {US}) == 5 * GIB


def test_process_that_computes_and_draws_counts_once(driver: Driver) -> None:
    driver.cards[0] = Card("GPU-aaa1", used=4 * GIB, computing={US: 3 * GIB}, drawing={US: 3 * GIB})
    assert gpu.processes("cuda:0") == [gpu.GpuProcess(US, 3 * GIB)]
    assert used_by_others("cuda:0", {US}) == GIB


def test_all_is_others_while_no_worker_runs(driver: Driver) -> None:
    driver.cards[0] = Card("GPU-aaa1", used=4 * GIB)
    assert used_by_others("cuda:0", ()) == 4 * GIB


def test_worker_that_has_not_touched_the_gpu_yet_leaves_all_to_others(driver: Driver) -> None:
    driver.cards[0] = Card("GPU-aaa1", used=4 * GIB, computing={PARENT: 4 * GIB})
    assert used_by_others("cuda:0", {US}) == 4 * GIB


@pytest.mark.parametrize("listed", [{}, {NOBODY: 4 * GIB}, {US: None}])
def test_own_memory_never_passes_for_others_where_the_driver_cannot_tell(
    driver: Driver, listed: dict[int, int | None]
) -> None:
    """In a container it lists nobody, or by the machine's numbers; or does not tell how much."""
    driver.cards[0] = Card("GPU-aaa1", used=4 * GIB, computing=listed)
    assert used_by_others("cuda:0", {US}) is None


@pytest.mark.parametrize(
    ("visible", "device", "place"),
    [
        (None, "cuda:1", 1),
        (None, "cuda", 0),
        ("1,0", "cuda:0", 1),
        ("1, 0", "cuda:1", 0),
        ("GPU-bbb", "cuda:0", 1),
        ("GPU-bbb2,GPU-aaa", "cuda:1", 0),
        ("MIG-ccc3", "cuda:0", 2),
        ("1", "cuda:1", None),
        ("", "cuda:0", None),
        ("-1", "cuda:0", None),
        ("7", "cuda:0", None),
        ("GPU-", "cuda:0", None),
        ("MIG-none", "cuda:0", None),
        (None, "cuda:3", None),
    ],
)
def test_device_is_the_one_that_cuda_shows_by_that_number(
    driver: Driver, visible: str | None, device: str, place: int | None
) -> None:
    for number, card in enumerate(driver.cards):
        card.used = number
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    found = gpu.memory(device, environment)
    assert (found.used_bytes if found else None) == place


def test_unlike_gpus_are_told_apart_only_where_cuda_counts_as_the_bus_does(driver: Driver) -> None:
    """CUDA puts the fastest first otherwise, and which that is it does not say."""
    driver.cards = [Card("GPU-a", name="T4", used=1), Card("GPU-b", name="H100", used=2)]
    assert gpu.memory("cuda:0", {}) is None
    by_bus = gpu.memory("cuda:0", {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"})
    by_name = gpu.memory("cuda:0", {"CUDA_VISIBLE_DEVICES": "GPU-b"})
    assert by_bus is not None and by_bus.used_bytes == 1
    assert by_name is not None and by_name.used_bytes == 2


def test_driver_is_greeted_once_and_anew_after_it_failed(driver: Driver) -> None:
    gpu.memory("cuda:0")
    gpu.memory("cuda:1")
    assert driver.greetings == 1
    driver.lost = True
    assert gpu.memory("cuda:0") is None
    driver.lost = False
    assert gpu.memory("cuda:0") is not None
    assert driver.greetings == 2


def test_library_that_does_not_fit_its_driver_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @functools.cache
    def start() -> None:
        raise OSError("libnvidia-ml.so.1: wrong ELF class")

    monkeypatch.setattr(gpu, "start", start)
    assert gpu.memory("cuda:0") is None
    assert gpu.processes("cuda:0") == []
    assert used_by_others("cuda:0", []) is None
