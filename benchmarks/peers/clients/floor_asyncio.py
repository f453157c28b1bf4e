"""The floor of all: a socket of asyncio, HTTP by hand, and only of the one kind that is sent."""

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from benchmarks.peers.clients.floor import Answer, Floor

BLOCK = 1 << 16


class Client(Floor):
    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._host, self._port = parts.hostname, parts.port
        self._head = (
            f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\n"
            "content-type: application/json\r\ncontent-length: "
        ).encode()
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, body: bytes) -> Answer:
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        writer.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        await reader.readuntil(b"\r\n\r\n")
        answer = Answer()
        rest = b""
        ended = False
        while not ended:
            data, rest, ended = unchunked(rest + await reader.read(BLOCK))
            answer.feed(data)
        self._idle.append((reader, writer))
        return answer

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


def unchunked(block: bytes) -> tuple[bytes, bytes, bool]:
    """What the whole chunks of a block hold, the bytes after them, and whether that was all."""
    data: list[bytes] = []
    at = 0
    while (line_end := block.find(b"\r\n", at)) >= 0:
        start = line_end + 2
        end = start + int(block[at:line_end], 16)
        if end + 2 > len(block):
            break
        if start == end:
            return b"".join(data), b"", True
        data.append(block[start:end])
        at = end + 2
    return b"".join(data), block[at:], False


@asynccontextmanager
async def connected(base_url: str):
    client = Client(base_url)
    yield client
    client.close()
