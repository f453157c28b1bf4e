"""What importing costs: CPU of a fresh interpreter, in one run with the openai SDK and pydantic.

    make bench                                    # nine rounds
    .venv/bin/python benchmarks/imports.py --rounds 21

Each round starts one interpreter for each row, in turn, so that a busy machine is busy for all of
them. Prints milliseconds of CPU (user and system), medians, and ratios to `import openai`. The
start of the interpreter is in every figure: it is the row `python`.
"""

import argparse
import os
import statistics
import sys

README = """
from agentcore import Agent, AgentCoreError
from agentcore.tools import read_file, write_file
"""
MADE = """
agent = Agent("openrouter:anthropic/claude-opus-4.6", tools=[write_file, read_file])
"""
# All that is loaded late is loaded here: what a program pays until its first answer, no network.
ANSWERED = """
import httpx2
from agentcore import Local

EVENTS = b'data: {"choices": [{"delta": {"content": "Yes."}, "finish_reason": "stop"}]}\\n\\n'


def answer(request):
    headers = {"content-type": "text/event-stream"}
    return httpx2.Response(200, headers=headers, content=EVENTS + b"data: [DONE]\\n\\n")


agent = Agent(
    "model",
    adapter=Local(base_url="http://127.0.0.1/v1"),
    tools=[write_file, read_file],
    transport=httpx2.MockTransport(answer),
)
assert agent.run_sync("Is it so?").text == "Yes."
"""
PROGRAMS = {
    "python": "pass",
    "import pydantic": "from pydantic import BaseModel",
    "import anyio": "import anyio",
    "import openai": "import openai",
    "import agentcore": "import agentcore",
    "one rule: classify": "from agentcore import classify",
    "one word: tool": "from agentcore import tool",
    "README, a program": README,
    "README, a tool": (
        "from agentcore import Agent, ApprovalRequest, ModelRetry, tool\n"
        "from agentcore.tools import file_tools"
    ),
    "with execute_code": "from agentcore import Agent\nfrom agentcore.tools import execute_code",
    "an agent, made": README + MADE,
    "its first answer": README + ANSWERED,
    "every name": "from agentcore import *",
}
COMMANDS = {
    "agentcore --version": ["--version"],
    "agentcore --help": ["--help"],
    "agentcore explain": ["explain", "Error code: 429 - rate limit reached, try again in 20s"],
}


def cpu(arguments: list[str]) -> float:
    """Milliseconds of CPU that a Python program takes, its start included."""
    # Compiled files are part of an installation, whatever this shell says of writing them.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    child = os.posix_spawn(
        sys.executable, [sys.executable, *arguments], environment, file_actions=quiet
    )
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{arguments}: ended with {status}")
    return (used.ru_utime + used.ru_stime) * 1_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds

    rows = {name: ["-c", program] for name, program in PROGRAMS.items()}
    rows |= {name: ["-m", "agentcore", *arguments] for name, arguments in COMMANDS.items()}
    times: dict[str, list[float]] = {name: [] for name in rows}
    for round_ in range(rounds + 1):
        for name, arguments in rows.items():
            taken = cpu(arguments)
            if round_:  # the first compiles, and warms the caches of files
                times[name].append(taken)
    medians = {name: statistics.median(taken) for name, taken in times.items()}

    print(f"CPU of a fresh interpreter, medians of {rounds}")
    print(f"{'':22}{'ms':>7}{'of openai':>11}")
    for name, median in medians.items():
        print(f"{name:22}{median:7.0f}{median / medians['import openai']:10.2f}x")


if __name__ == "__main__":
    main()
