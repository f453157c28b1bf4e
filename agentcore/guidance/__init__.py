"""What the model is told when something cannot work, and the person when a run stops.

Each situation is a frozen dataclass of variables (`situations`) and a template of the same name in
`agentcore/templates/`. `Templates` renders them; a folder of the user's own may replace some.
Values reach the text as they are; nothing in them is ever evaluated.
"""

from typing import TYPE_CHECKING

from agentcore.late import late_names

if TYPE_CHECKING:
    from agentcore.guidance.advice import ADVICE, PROCESSES_END, UNREACHABLE
    from agentcore.guidance.situations import (
        SITUATIONS,
        ArgumentsGuidance,
        CancelledGuidance,
        CapGuidance,
        CutGuidance,
        DeniedGuidance,
        FilteredGuidance,
        Guidance,
        LeftOutGuidance,
        MalformedGuidance,
        RaisedGuidance,
        RepeatedGuidance,
        SectionsGuidance,
        SilenceGuidance,
        Situation,
        StandInGuidance,
        StillRunningGuidance,
        StoppedText,
        TextGuidance,
        TimedOutGuidance,
        UnknownOutcomeGuidance,
        UnknownToolGuidance,
        suggest_lines,
    )
    from agentcore.guidance.templates import Templates

else:
    # Not for type checkers: with it they would take any name.
    __getattr__, __dir__ = late_names(
        __name__,
        {
            "agentcore.guidance.advice": "ADVICE PROCESSES_END UNREACHABLE",
            "agentcore.guidance.situations": (
                "SITUATIONS ArgumentsGuidance CancelledGuidance CapGuidance CutGuidance "
                "DeniedGuidance FilteredGuidance Guidance LeftOutGuidance "
                "MalformedGuidance RaisedGuidance RepeatedGuidance SectionsGuidance "
                "SilenceGuidance Situation StandInGuidance StillRunningGuidance "
                "StoppedText TextGuidance TimedOutGuidance UnknownOutcomeGuidance "
                "UnknownToolGuidance suggest_lines"
            ),
            "agentcore.guidance.templates": "Templates",
        },
    )

__all__ = [
    "ADVICE",
    "PROCESSES_END",
    "SITUATIONS",
    "UNREACHABLE",
    "ArgumentsGuidance",
    "CancelledGuidance",
    "CapGuidance",
    "CutGuidance",
    "DeniedGuidance",
    "FilteredGuidance",
    "Guidance",
    "LeftOutGuidance",
    "MalformedGuidance",
    "RaisedGuidance",
    "RepeatedGuidance",
    "SectionsGuidance",
    "SilenceGuidance",
    "Situation",
    "StandInGuidance",
    "StillRunningGuidance",
    "StoppedText",
    "Templates",
    "TextGuidance",
    "TimedOutGuidance",
    "UnknownOutcomeGuidance",
    "UnknownToolGuidance",
    "suggest_lines",
]
