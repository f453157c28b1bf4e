"""What keeping drafts costs on a healthy stream: one large call, with drafts and without.

    make bench          # or: python benchmarks/draft_cost.py

Interleaved in one run; medians of CPU time. In process and in real time, so that drafts are written
to the disk as they are in life.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

from agentcore import Agent, Local, Policy
from agentcore.testing import Answer, Call, GatewayTransport, stream
from agentcore.tools import write_file

ROUNDS = 7
TEXT = "".join(
    f"{number:>6}. A line of a large file, of some length.\n" for number in range(24_000)
)
ARGUMENTS = json.dumps({"path": "plan.md", "mode": "create", "content": TEXT})
GOOD = stream(Answer(calls=(Call(name="write_file", arguments=ARGUMENTS),)), piece=25)


def write(policy: Policy) -> float:
    """Seconds of CPU for the file."""
    transport = GatewayTransport()
    transport.play(GOOD, Answer(text="Done."))
    with tempfile.TemporaryDirectory() as folder:
        agent = Agent(
            "some-model",
            adapter=Local(base_url="http://bench.test/v1"),
            tools=[write_file],
            workspace=folder,
            policy=policy,
            transport=transport,
        )
        started = time.process_time()
        agent.run_sync("Write it.")
        seconds = time.process_time() - started
        assert (Path(folder) / "plan.md").read_text() == TEXT
    return seconds


def main() -> None:
    write(Policy())
    kept: list[float] = []
    without: list[float] = []
    for _ in range(ROUNDS):
        kept.append(write(Policy()))
        without.append(write(Policy(keep_drafts=False)))
    ratio = statistics.median(a / b for a, b in zip(kept, without, strict=True))
    print(
        f"one call of {len(ARGUMENTS):,} bytes in {len(GOOD.steps):,} events; {ROUNDS} rounds\n"
        f"with drafts {statistics.median(kept):.2f} s, without {statistics.median(without):.2f} s "
        f"of CPU (medians); ratio {ratio:.3f} (median of the pairs)"
    )


if __name__ == "__main__":
    main()
