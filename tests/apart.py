"""Coroutines in a thread of their own: the browser tests leave an event loop running in the main one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def run_apart(begin: Callable[[], Coroutine[object, object, T]]) -> T:
    """What the coroutine gives, run by a loop of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(begin())).result()
