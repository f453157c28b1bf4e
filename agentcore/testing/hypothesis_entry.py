"""What Hypothesis calls through its entry point: `st.from_type` then knows agentcore's types."""

from typing import Any

__all__ = ["register"]


def register() -> None:
    """Teach Hypothesis to make answers, facts, messages and rules of any kind.

    Hypothesis calls it when it is first imported. Then agentcore may not be needed at all, so the
    strategies are made when one is first asked for.
    """
    from hypothesis import strategies as st
    from pydantic import JsonValue

    from agentcore.error_rules import ErrorRule
    from agentcore.facts import ErrorFacts
    from agentcore.messages import (
        AssistantMessage,
        SystemMessage,
        ToolCall,
        ToolMessage,
        Usage,
        UserMessage,
    )
    from agentcore.testing.answers import Answer

    def lazily(name: str) -> "st.SearchStrategy[object]":
        def make() -> "st.SearchStrategy[object]":
            from agentcore.testing import strategies

            made: st.SearchStrategy[object] = getattr(strategies, name)()
            return made

        return st.deferred(make)

    st.register_type_strategy(Answer, lazily("answers"))
    st.register_type_strategy(ErrorFacts, lazily("error_facts"))
    st.register_type_strategy(ErrorRule, lazily("error_rules"))
    json_value: Any = JsonValue  # an alias, which Hypothesis takes, too
    st.register_type_strategy(json_value, lazily("json_values"))
    st.register_type_strategy(AssistantMessage, lazily("assistant_messages"))
    st.register_type_strategy(SystemMessage, lazily("system_messages"))
    st.register_type_strategy(ToolCall, lazily("tool_calls"))
    st.register_type_strategy(ToolMessage, lazily("tool_messages"))
    st.register_type_strategy(Usage, lazily("usages"))
    st.register_type_strategy(UserMessage, lazily("user_messages"))
