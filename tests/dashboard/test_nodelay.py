"""Whether a connection waits for acknowledgements."""

from __future__ import annotations

import asyncio
import socket
from asyncio import base_events

import pytest

from dashboard import nodelay
from tests.apart import run_apart


def delayed() -> bool:
    """Whether what asyncio accepts on a socket made as Streamlit makes its own holds small answers back."""

    async def accept() -> bool:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            found.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = socket.socket(socket.AF_INET)
        listening.bind(("127.0.0.1", 0))
        async with await asyncio.start_server(serve, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            value = await found
            writer.close()
            await writer.wait_closed()
        return not value

    return run_apart(accept)


def test_small_answers_are_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_events, "_set_nodelay", base_events._set_nodelay)  # put back after the test
    nodelay.send_at_once()
    assert not delayed()
