"""Tools in sets: names, defaults, choices, and errors that say where a tool is from."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from agentcore import Agent, ConfigurationError, Tool, ToolContext, Toolset, tool
from agentcore.settings import checked_tools
from agentcore.tools.base import Continuation, CutDraft

CONTEXT = ToolContext(workspace=Path("/nowhere"))


@tool
def log(path: str) -> str:
    """Tell what was done."""
    return path


@tool(timeout=5.0, strict=True)
def push(force: bool = False) -> bool:
    """Send it."""
    return force


def names(tools: object) -> list[str]:
    assert isinstance(tools, Toolset)
    return [one.name for one in tools]


def test_a_set_is_its_tools_with_a_prefix_in_order() -> None:
    git = Toolset("git", [log, push], prefix="git_")
    assert names(git) == ["git_log", "git_push"]
    assert len(git) == 2
    assert [one.spec.name for one in git] == ["git_log", "git_push"]
    # The tools themselves are as they were: they may stand in another set.
    assert (log.name, names(Toolset("other", [log]))) == ("log", ["log"])
    assert repr(git) == "<toolset git: git_log, git_push>"


async def test_a_tool_of_a_set_runs() -> None:
    (one,) = Toolset("git", [log], prefix="git_")
    result = await one.run(one.validate({"path": "a"}), CONTEXT)
    assert result.content == "a"


def needs(fields: Mapping[str, JsonValue]) -> bool:
    return bool(fields)


def test_options_of_the_set_are_defaults() -> None:
    never = tool(name="never", timeout=math.inf)(lambda: "")
    asks = tool(name="asks", needs_approval=needs)(lambda: "")
    git = Toolset("git", [log, push, never, asks], timeout=30.0, needs_approval=True)

    assert [one.timeout for one in git] == [30.0, 5.0, math.inf, 30.0]
    assert [one.needs_approval for one in git] == [True, True, True, needs]
    assert [one.strict for one in git] == [False, True, False, False]
    assert [one.strict for one in Toolset("git", [log], strict=True)] == [True]


def test_sets_stand_in_sets_and_prefixes_add_up() -> None:
    remote = Toolset("remote", [push], prefix="remote_", timeout=1.0)
    git = Toolset("git", [log, remote], prefix="git_", timeout=9.0)
    assert [(one.name, one.timeout) for one in git] == [
        ("git_log", 9.0),
        ("git_remote_push", 5.0),
    ]


def test_a_set_is_narrowed_by_the_names_that_the_model_sees() -> None:
    git = Toolset("git", [log, push], prefix="git_")
    assert names(git.only("git_push")) == ["git_push"]
    assert names(git.without("git_push")) == ["git_log"]
    assert names(git.without("git_push").without("git_log")) == []
    assert names(git.only("git_push", "git_log").only("git_log")) == ["git_log"]
    assert names(git.only()) == []
    assert names(git) == ["git_log", "git_push"]


@pytest.mark.parametrize("narrow", [Toolset.only, Toolset.without])
def test_a_name_that_is_not_there_is_an_error(narrow: Callable[..., Toolset]) -> None:
    """A slip in `without` would let through what was to be kept away."""
    with pytest.raises(ConfigurationError, match=r"no tool is named 'push' \(it has: git_push\)"):
        narrow(Toolset("git", [push], prefix="git_"), "push")


def test_functions_are_added_by_decorator_and_stay_functions() -> None:
    notes = Toolset("notes", prefix="note_")

    @notes.tool
    def count(text: str) -> int:
        """Count."""
        return len(text)

    notes.add(log)
    assert names(notes) == ["note_count", "note_log"]
    assert count("abc") == 3
    assert count.name == "count"


def test_a_hook_registered_later_goes_along() -> None:
    @tool(draft="text")
    def save(text: str) -> str:
        return text

    notes = Toolset("notes", [save])

    @save.on_cut
    def keep(context: ToolContext, cut: CutDraft) -> Continuation | None:
        return None

    assert [one.on_cut_hook for one in notes] == [keep]


@pytest.mark.parametrize("wrong", [len, "log", Toolset, None])
def test_what_is_no_tool_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"toolset 'git': .* is not a tool"):
        Toolset("git", [wrong])
    with pytest.raises(ConfigurationError, match="is not a tool"):
        Toolset("git").add(wrong)


def test_a_prefix_must_make_a_name_that_endpoints_take() -> None:
    with pytest.raises(ConfigurationError, match=r"'git\.log': endpoints take names"):
        list(Toolset("git", [log], prefix="git."))


# --- in an agent ----------------------------------------------------------------------------


def test_an_agent_takes_sets_among_tools(tmp_path: Path) -> None:
    git = Toolset("git", [push], prefix="git_")
    tools: list[Tool | Toolset] = [log, git]
    assert [one.name for one in checked_tools(tools, ())] == ["log", "git_push"]
    agent = Agent("openai:gpt-5.2", tools=[*git, log], workspace=tmp_path)
    assert [one.name for one in agent.tools] == ["git_push", "log"]


def test_two_of_one_name_are_told_apart() -> None:
    @tool(name="log")
    def other(path: str) -> str:
        return path

    with pytest.raises(ConfigurationError) as caught:
        checked_tools([Toolset("git", [log]), other], ())
    text = str(caught.value)
    assert "two are named 'log'" in text
    assert "test_toolset.log in toolset 'git', and " in text
    assert "test_two_of_one_name_are_told_apart.<locals>.other" in text


def test_a_set_in_place_of_a_list_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"give a list, as in tools=\[git\]"):
        checked_tools(Toolset("git", [log]), ())
