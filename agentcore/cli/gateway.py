"""`agentcore gateway`: the demo's scripted model, or a recording, served on loopback."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console

from agentcore.cli.agents import failures_told
from agentcore.cli.demo import long_text
from agentcore.cli.display import size
from agentcore.testing import (
    Answer,
    Gateway,
    RecordedRequest,
    Reply,
    Respond,
    ScriptedModel,
    header_asks,
    stream,
)
from agentcore.testing.recording import RecordingError, load_recording

__all__ = ["gateway"]

_console = Console()
_errors = Console(stderr=True)


def gateway(
    play: Annotated[
        Path | None,
        typer.Option(
            help="Play a recording of `agentcore record`, over and over, in the model's place.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0.001, help="How many times as fast the recording is played.")
    ] = 1.0,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="On loopback; 0 picks a free one.")
    ] = 8765,
    lines: Annotated[
        int, typer.Option(min=1, help="Length of the file that its model writes.")
    ] = 3_000,
    life_limit: Annotated[
        float, typer.Option(min=0, help="Seconds until every connection is dropped; 0: never.")
    ] = 1.7,
    idle_limit: Annotated[
        float, typer.Option(min=0, help="Seconds of silence that drop a connection; 0: never.")
    ] = 0.0,
    hold_back: Annotated[
        bool,
        typer.Option(
            "--hold-back", help="Send tool arguments whole, unless Claude's header asks for more."
        ),
    ] = False,
    pace: Annotated[float, typer.Option(min=0, help="Seconds between two deltas.")] = 0.002,
) -> None:
    """Serve the demo's scripted model, to try `agentcore run` and `probe` from a second terminal.

    Whatever the prompt says, it writes plan.md: it needs the tool write_file.

    With --play it answers with the responses of a recording, one a request, as they came.

    After the last of them it begins again; what is said of the model and of drops means nothing.
    """
    with failures_told(_errors):
        if play is None:
            server = Gateway(
                respond=_scripted(lines, pace),
                life_limit=life_limit or None,
                idle_limit=idle_limit or None,
                asks_to_stream=_asks_to_stream if hold_back else None,
                port=port,
            )
        else:
            # A recording has its own drops.
            server = Gateway(respond=_played(play, speed), port=port)

    async def serve() -> None:
        async with server:
            _console.print(
                f"Serving on {server.base_url} (Ctrl-C stops it). In another terminal:",
                *_commands(server.base_url, played=play is not None, held_back=hold_back),
                sep="\n  ",
                highlight=False,
                soft_wrap=True,
            )
            await anyio.sleep_forever()

    try:
        anyio.run(serve)
    except KeyboardInterrupt:
        _console.print("stopped")
    except OSError as error:
        _errors.print(f"error: port {port}: {error.strerror}; choose another with --port")
        raise typer.Exit(2) from None


def _commands(url: str, *, played: bool, held_back: bool) -> Iterator[str]:
    prompt, model = ("As before", "recorded") if played else ("Write plan.md", "scripted")
    yield f'agentcore run "{prompt}" --model local:{model} --base-url {url}'
    if held_back and not played:
        # With the header that asks for more, and without it.
        claude = "OPENROUTER_API_KEY=none agentcore probe openrouter:anthropic/claude-opus-4.6"
        yield f"{claude} --base-url {url} --yes"
    elif not played:
        yield f"agentcore probe local:scripted --base-url {url} --yes"


def _asks_to_stream(request: RecordedRequest) -> bool:
    names = ("anthropic-beta", "x-anthropic-beta")  # Anthropic's own, and OpenRouter's
    return any(header_asks(name, "fine-grained-tool-streaming")(request) for name in names)


def _scripted(lines: int, pace: float) -> Respond:
    model = ScriptedModel(path="plan.md", text=long_text(lines))
    return lambda request: stream(_capped(model(request.body), request), piece=64, pace=pace)


def _capped(answer: Answer, request: RecordedRequest) -> Answer:
    """What the request's cap leaves of an answer, at four characters a token."""
    cap = request.body.get("max_tokens") or request.body.get("max_completion_tokens")
    usage = answer.usage
    if usage is None or not isinstance(cap, int) or usage.output_tokens <= cap:
        return answer
    left = max(0, cap * 4 - len(answer.text))
    return replace(
        answer,
        text=answer.text[: cap * 4],
        calls=tuple(replace(call, arguments=call.arguments[:left]) for call in answer.calls),
        finish_reason="length",
        usage=replace(usage, output_tokens=cap),
    )


def _played(file: Path, speed: float) -> Respond:
    """The replies of a recording in turn; whoever watches sees which one goes out."""
    replies = load_recording(file, speed=speed)
    if not replies:
        raise RecordingError(f"{file}: there is no exchange in this recording")
    turns = itertools.cycle(enumerate(replies, 1))

    def respond(_: RecordedRequest) -> Reply:
        number, reply = next(turns)
        said = "no response" if reply.status is None else f"status {reply.status}"
        _console.print(
            f"reply {number} of {len(replies)}: {said}, {size(len(reply.body))}", highlight=False
        )
        return reply

    return respond
