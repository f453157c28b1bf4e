"""The endpoint, a process of its own, so that its CPU is nobody's: `python -m …endpoint`.

It prints its port and serves until its standard input closes. HTTP/1.1, connections kept, one HTTP
chunk an event, as servers send them. Answers are prepared whole before the first byte goes out.
"""

import asyncio
import json
import sys

from benchmarks.peers.streams import answer

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
END = b"0\r\n\r\n"
BLOCK = 1 << 16
PACE = 0.002
"""Seconds between two events of a paced stream: more than any client needs for one."""


def framed(lines: list[str]) -> list[bytes]:
    """Each event as one HTTP chunk."""
    events = [f"{line}\n\n".encode() for line in lines]
    return [b"%x\r\n%b\r\n" % (len(event), event) for event in events]


async def send(writer: asyncio.StreamWriter, body: bytes) -> None:
    """Answer one request."""
    word, lines = answer(json.loads(body))
    chunks = framed(lines)
    if word.endswith("-paced"):
        writer.write(HEAD)
        for chunk in chunks:
            writer.write(chunk)
            await asyncio.sleep(PACE)
        writer.write(END)
    else:
        whole = b"".join((HEAD, *chunks, END))
        for at in range(0, len(whole), BLOCK):
            writer.write(whole[at : at + BLOCK])
            await writer.drain()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one connection's requests, until the client closes it."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            body = await reader.readexactly(length)
            if head.startswith(b"POST ") and b"/chat/completions " in head:
                await send(writer, body)
            else:
                writer.write(NOT_FOUND)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
