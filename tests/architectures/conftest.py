"""An architecture's cases go to one process, and architectures to several; none may use the network."""

from __future__ import annotations

import pytest

from tests.architectures.every import ARCHITECTURES
from tests.engine.hub_models import no_network, threads_end

__all__ = ["no_network", "threads_end"]
PARTS = 4


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(ARCHITECTURES)}
    for item in items:
        name = getattr(item, "callspec", None) and item.callspec.params.get("name")  # type: ignore[attr-defined]
        if name in order:
            item.add_marker(pytest.mark.xdist_group(f"architectures {order[name] % PARTS}"))
