"""How does an endpoint stream, and who ends its connections? An experiment that finds out.

It asks for growing tool calls and watches when bytes arrive. `next_ask` decides the next request,
`find` makes findings of observations, `advise` makes settings of findings: all pure. Times are
seconds since a request was sent.
"""

from agentcore.probe.advice import Advice, advise
from agentcore.probe.asking import next_ask
from agentcore.probe.caps import CapFinding
from agentcore.probe.experiment import probe_endpoint
from agentcore.probe.findings import Findings, find
from agentcore.probe.limits import LimitFinding, LimitKind, UndecidedFinding
from agentcore.probe.observations import Arrival, Ending, Gap, Observation, Sign, gaps_of
from agentcore.probe.requests import Ask, Plan, Target, plan_of
from agentcore.probe.shapes import ArgumentsFinding, Shape
from agentcore.probe.words import Finding, seconds

__all__ = [
    "Advice",
    "ArgumentsFinding",
    "Arrival",
    "Ask",
    "CapFinding",
    "Ending",
    "Finding",
    "Findings",
    "Gap",
    "LimitFinding",
    "LimitKind",
    "Observation",
    "Plan",
    "Shape",
    "Sign",
    "Target",
    "UndecidedFinding",
    "advise",
    "find",
    "gaps_of",
    "next_ask",
    "plan_of",
    "probe_endpoint",
    "seconds",
]
