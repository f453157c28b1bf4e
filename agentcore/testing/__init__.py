"""A test kit: a server that misbehaves on purpose, a model that writes a known file, strategies."""

from agentcore.testing.gateway import Gateway, RecordedRequest
from agentcore.testing.script import (
    CLEAN_END,
    FIN,
    NETWORK_LOST,
    RESET,
    Answer,
    Call,
    Pause,
    Reply,
    Send,
    cut_after_arguments,
    cut_after_bytes,
    cut_after_events,
    in_stream_error,
    stall_after_events,
    status,
    stream,
    whole,
)
from agentcore.testing.scripted import ScriptedModel

__all__ = [
    "CLEAN_END",
    "FIN",
    "NETWORK_LOST",
    "RESET",
    "Answer",
    "Call",
    "Gateway",
    "Pause",
    "RecordedRequest",
    "Reply",
    "ScriptedModel",
    "Send",
    "cut_after_arguments",
    "cut_after_bytes",
    "cut_after_events",
    "in_stream_error",
    "stall_after_events",
    "status",
    "stream",
    "whole",
]
