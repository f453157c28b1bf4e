"""What a delta costs inside the loop, part by part, without a network: `make bench`.

CPU time, the least of 40 short rounds, which are interleaved: on a busy machine that holds best.
The stream is read as a whole event a block, as the stock HTTP stack hands it over, which tells of
its reads, and in large blocks, as the extra `fast` does. It is one burst.
"""

import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack

import anyio
import jiter
from httpcore2 import AsyncNetworkStream

from agentcore.accumulator import Accumulator
from agentcore.attempt import Attempt
from agentcore.chunks import ChunkDecoder
from agentcore.client import Response
from agentcore.clocks import Silence
from agentcore.emitter import Emitter
from agentcore.event_loop import event_loop_clock
from agentcore.families import family_of
from agentcore.httpcore_transport import Network
from agentcore.messages import UserMessage
from agentcore.providers import Local, Request
from agentcore.sse import SSEDecoder

DELTAS = 2_000
ROUNDS = 40
LARGE = 65_536
BLOCKS_A_READ = 250
"""Of one event each: about as many as lie in a read of 64 KiB."""
ADAPTER = Local(base_url="http://bench.test/v1")
WIRE = ADAPTER.encode(
    Request(model="bench", family=family_of("bench"), messages=(UserMessage(content="Go on."),))
)


def event(delta: dict) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    chunk = {
        "id": "chatcmpl-C9vZ4qGkTn2mYh8sLw0xR5uJdPbE1",
        "object": "chat.completion.chunk",
        "created": 1_795_910_400,
        "model": "bench",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [choice],
    }
    data = json.dumps(chunk, ensure_ascii=False, separators=(",", ":"))
    return f"data: {data}\n\n".encode()


def text() -> list[bytes]:
    return [event({"content": f" wor{n % 10}"}) for n in range(DELTAS)]


def tool() -> list[bytes]:
    function = {"name": "write_file", "arguments": ""}
    opening = {"index": 0, "id": "call_1", "type": "function", "function": function}
    fragments = [f" line {n % 10} of é, 😀.\\n" for n in range(DELTAS)]
    return [
        event({"role": "assistant", "tool_calls": [opening]}),
        *(
            event({"tool_calls": [{"index": 0, "function": {"arguments": fragment}}]})
            for fragment in fragments
        ),
    ]


def large(blocks: Iterable[bytes]) -> list[bytes]:
    body = b"".join(blocks)
    return [body[start : start + LARGE] for start in range(0, len(body), LARGE)]


async def attempt(blocks: list[bytes], *, heard: bool = False) -> None:
    """A whole answer through the loop that reads one, with its clocks; read from no network."""
    network = Network(AsyncNetworkStream())

    async def body() -> AsyncIterator[bytes]:
        for number, block in enumerate(blocks):
            if number % BLOCKS_A_READ == 0 and network.before_read is not None:
                await network.before_read()
            yield block

    clock = event_loop_clock()
    reading = Attempt(
        turn=1,
        number=1,
        adapter=ADAPTER,
        wire=WIRE,
        key="",
        silence=Silence(ADAPTER.clocks, now=clock()),
        accumulator=Accumulator(),
        emit=Emitter(lambda told: None) if heard else None,
        clock=clock,
    )
    async with AsyncExitStack() as beside:
        with anyio.CancelScope() as scope:
            response = Response(headers={}, blocks=body(), network=network)
            await reading._read(response, scope, beside)


def parts(stream: list[bytes]) -> dict[str, Callable[[], object]]:
    """Each part by itself, on what the one before it gives."""
    blocks = large(stream)
    data = [found for _, found in SSEDecoder().feed(b"".join(stream))]
    chunks = [jiter.from_json(one) for one in data]
    events = [told for chunk in chunks for told in ADAPTER.decode("", chunk)]

    def decode() -> None:
        decoder = ChunkDecoder(ADAPTER)
        for one in data:
            decoder.decode(("", one))

    def split(fed: list[bytes]) -> None:
        decoder = SSEDecoder()
        for block in fed:
            decoder.feed(block)

    def accumulate() -> None:
        accumulator = Accumulator()
        for told in events:
            accumulator.feed(told)

    return {
        "events of a block with one": lambda: split(stream),
        "events of large blocks": lambda: split(blocks),
        "JSON": lambda: [jiter.from_json(one) for one in data],
        "chunk to stream events": lambda: [ADAPTER.decode("", chunk) for chunk in chunks],
        "both, of chunks that repeat": decode,
        "accumulator": accumulate,
        "all, a block each": lambda: anyio.run(attempt, stream),
        "all, large blocks": lambda: anyio.run(attempt, blocks),
        "all, a block each, heard": lambda: anyio.run(lambda: attempt(stream, heard=True)),
        "all, large blocks, heard": lambda: anyio.run(lambda: attempt(blocks, heard=True)),
    }


def main() -> None:
    streams = {"text": parts(text()), "tool": parts(tool())}
    spent: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for kind, works in streams.items():
            for name, work in works.items():
                started = time.process_time()
                work()
                spent[kind, name].append(time.process_time() - started)
    print(f"{'µs of CPU a delta':<28}{'text':>8}{'tool':>8}")
    for name in streams["text"]:
        least = [min(spent[kind, name]) / DELTAS * 1e6 for kind in streams]
        print(f"{name:<28}{least[0]:>8.2f}{least[1]:>8.2f}")


if __name__ == "__main__":
    main()
