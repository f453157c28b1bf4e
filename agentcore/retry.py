"""How often to try again, and after how long. Pure: time and chance are arguments."""

from dataclasses import dataclass, field

from agentcore.errors import ConfigurationError

__all__ = ["Backoff", "Budget", "Policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential waits with full jitter: anything between 0 and the window, evenly."""

    first: float = 1.0
    """Seconds: the window after the first failure; it doubles with each further one."""
    cap: float = 30.0
    """Seconds: the largest window, and the longest wait that is not asked for by the endpoint."""

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.cap:
            raise ConfigurationError(
                f"Backoff(first={self.first!r}, cap={self.cap!r}): 0 <= first <= cap must hold"
            )

    def delay(self, failures: int, roll: float) -> float:
        """Seconds to wait, `0 <= delay <= cap`.

        Args:
            failures: Attempts that failed in a row, at least 1.
            roll: A random number, `0 <= roll <= 1`.
        """
        doublings = min(failures - 1, 64)
        return roll * min(self.cap, self.first * 2.0**doublings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The limits of one turn's attempts. None means no limit."""

    max_attempts: int = 3
    """Attempts in a row that bring nothing worth keeping, at least 1."""
    max_seconds: float | None = None
    """For all attempts of a turn and the waits between them."""
    max_discarded_tokens: int | None = None
    """Output tokens thrown away in a turn; estimated where the endpoint reports none."""
    keep_drafts: bool = True
    """Keep what arrived of a cut answer and go on from it. False asks for all of it again, until
    the attempts are used up: for comparison, and for tools that cannot take a part."""
    max_retry_after: float = 120.0
    """Seconds: the longest `Retry-After` that is obeyed. Beyond it the run stops and says how long;
    the openai SDK draws the line at the same place."""
    backoff: Backoff = field(default_factory=Backoff)

    def __post_init__(self) -> None:
        if not self.max_attempts >= 1 or self.max_attempts % 1:
            raise ConfigurationError(
                f"Policy(max_attempts={self.max_attempts!r}): must be a whole number from 1 on"
            )
        if not self.max_retry_after >= 0:
            raise ConfigurationError(
                f"Policy(max_retry_after={self.max_retry_after!r}): must be 0 or more seconds"
            )
        for name in ("max_seconds", "max_discarded_tokens"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigurationError(
                    f"Policy({name}={value!r}): must be above 0, or None for no limit"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a turn has spent so far. Corrected requests are not attempts without progress."""

    failures: int = 0
    """Attempts in a row that brought nothing worth keeping."""
    seconds: float = 0.0
    discarded_tokens: int = 0

    def exhausted(self, policy: Policy) -> str | None:
        """Which limit is reached, in words; None while there is room for another attempt."""
        if self.failures >= policy.max_attempts:
            plural = "s" if self.failures != 1 else ""
            return f"{self.failures} attempt{plural} without progress"
        if policy.max_seconds is not None and self.seconds >= policy.max_seconds:
            return f"{self.seconds:.0f} s spent on this turn"
        limit = policy.max_discarded_tokens
        if limit is not None and self.discarded_tokens >= limit:
            return f"{self.discarded_tokens} tokens thrown away in this turn"
        return None
