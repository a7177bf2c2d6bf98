"""No answer waits for the one before it to be acknowledged."""

from __future__ import annotations

import socket
from asyncio import base_events

FAMILIES = (socket.AF_INET, socket.AF_INET6)


def send_at_once() -> None:
    """Switch Nagle's algorithm off for every connection that asyncio accepts from now on.

    asyncio does so by itself only for sockets that were made with their protocol's number, and Streamlit makes its
    without: each move of a slider then waits some 40 ms for a delayed acknowledgement. uvloop, which Streamlit takes
    where it can be had (it cannot on Windows), does so always.
    """
    base_events._set_nodelay = _set_nodelay  # type: ignore[attr-defined]


def _set_nodelay(connection: socket.socket) -> None:
    if connection.family in FAMILIES and connection.type == socket.SOCK_STREAM:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
