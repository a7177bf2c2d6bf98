"""What all tests share: one thread, CUDA only where there is one, nothing left running."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

from tests.devices import CUDA

settings.register_profile("secateur", deadline=None, derandomize=True, database=None, max_examples=80)
settings.load_profile("secateur")

QUIET_ROOMS = {"contract", "engine", "methods"}


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file goes to one process, and all browser tests go to the same: two browsers at once are slow on two cores."""
    for item in items:
        folder = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group(folder if folder == "browser" else str(item.path)))


def pytest_report_header(config: pytest.Config) -> str:
    return f"CUDA: {torch.cuda.get_device_name(0)}" if CUDA else "CUDA: none here, its tests are not collected"


@pytest.fixture(autouse=True, scope="module")
def no_thread_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """The tests of the engine end every thread that they start; a page's server may live longer."""
    before = set(threading.enumerate())
    yield
    if request.path.parent.name in QUIET_ROOMS:
        assert set(threading.enumerate()) <= before


@pytest.fixture(autouse=True)
def one_thread_again() -> Iterator[None]:
    """A test that changes torch's threads does not change the next test's."""
    yield
    assert torch.get_num_threads() == 1
