"""Scripts and styles go to the browser compressed, and each is compressed once.

Streamlit sends its own uncompressed, on the grounds that a proxy in front does better; in a classroom there is none,
and thirty laptops fetch 3.5 MB each. What is a component's it compresses, but anew for every visitor.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEVEL = 6
KINDS = {".js": b"text/javascript; charset=utf-8", ".css": b"text/css; charset=utf-8"}
PASSED_ON = (b"range", b"if-none-match", b"if-modified-since")  # requests that Streamlit answers better


@cache
def packed(path: Path) -> bytes:
    """A file's content compressed; kept, so only for files whose names change with their contents."""
    return gzip.compress(path.read_bytes(), LEVEL, mtime=0)


class Compressing:
    """Answers for some files from memory; all else passes through.

    places    address -> the file that stands there or, with a slash at the address's end, the folder
    early     address of a script that every page needs: the browser is told so with the page, and fetches it beside
              Streamlit's own instead of after them
    """

    def __init__(self, app: ASGIApp, places: Mapping[str, Path], early: str) -> None:
        self.app = app
        self.places = {address: place.resolve() for address, place in places.items()}
        self.link = (b"link", f"<{early}>; rel=modulepreload".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":  # a websocket above all
            await self.app(scope, receive, send)
            return
        path = self.file_of(scope)
        if path is None:
            await self.app(scope, receive, self._telling(send))
            return
        body = await asyncio.to_thread(packed, path)
        headers = {
            b"content-type": KINDS[path.suffix],
            b"content-encoding": b"gzip",
            b"content-length": str(len(body)).encode(),
            b"cache-control": b"public, immutable, max-age=31536000",
            b"vary": b"Accept-Encoding",
        }
        await send({"type": "http.response.start", "status": 200, "headers": list(headers.items())})
        await send({"type": "http.response.body", "body": body})

    def file_of(self, scope: Scope) -> Path | None:
        """The file that is asked for, where it is one of ours and the browser takes it compressed."""
        asked = dict(scope["headers"])
        takes = b"gzip" in asked.get(b"accept-encoding", b"") and not any(name in asked for name in PASSED_ON)
        if scope["method"] != "GET" or not takes:
            return None
        for address, place in self.places.items():
            if scope["path"] == address or (address.endswith("/") and scope["path"].startswith(address)):
                path = (place / scope["path"].removeprefix(address)).resolve()
                return path if path.is_relative_to(place) and path.suffix in KINDS and path.is_file() else None
        return None

    def _telling(self, send: Send) -> Send:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = dict(message["headers"])
                if headers.get(b"content-type", b"").startswith(b"text/html"):
                    message = {**message, "headers": [*message["headers"], self.link]}
            await send(message)

        return told
