"""Which files below the workspace the tools keep away from, as rows with a reason each. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agentcore.errors import ConfigurationError
from agentcore.tools.files.paths import folded, matches

__all__ = ["PATH_RULES", "FileRules", "PathRule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRule:
    """What may be done with the files that a pattern names, and with all below them."""

    pattern: str
    """Names with a slash between them; `*`, `?` and `[…]` stand for parts of a name, `**` for any
    folders. It holds in every folder; with a slash at its beginning, in the workspace only. Case
    does not count."""
    may_read: bool
    may_write: bool
    reason: str
    """Ends the sentence "… is not touched: "."""

    def covers(self, parts: Sequence[str]) -> bool:
        """It names this path, or a folder that the path is in."""
        names = [folded(part) for part in self.pattern.strip("/").split("/")]
        start = [] if self.pattern.startswith("/") else ["**"]
        return matches([folded(part) for part in parts], [*start, *names, "**"])


_SECRET: Final = "secrets are kept there, and what a tool reads goes to the model's provider"
_KEYS: Final = "keys and what they open are the user's own"
_GIT: Final = "git runs programs that are named in its own folder; use git itself"
_STARTUP: Final = "a shell runs it whenever it starts"

PATH_RULES: Final[tuple[PathRule, ...]] = (
    PathRule(pattern=".ssh", may_read=False, may_write=False, reason=_KEYS),
    PathRule(pattern=".gnupg", may_read=False, may_write=False, reason=_KEYS),
    PathRule(pattern=".aws", may_read=False, may_write=False, reason=_KEYS),
    PathRule(pattern=".netrc", may_read=False, may_write=False, reason=_KEYS),
    PathRule(pattern=".pypirc", may_read=False, may_write=False, reason=_KEYS),
    PathRule(pattern=".git-credentials", may_read=False, may_write=False, reason=_KEYS),
    PathRule(pattern="id_rsa", may_read=False, may_write=False, reason=_KEYS),
    PathRule(pattern="id_ed25519", may_read=False, may_write=False, reason=_KEYS),
    # Samples hold no secrets, and tell which names there are.
    PathRule(pattern=".env.example", may_read=True, may_write=False, reason=_SECRET),
    PathRule(pattern=".env.sample", may_read=True, may_write=False, reason=_SECRET),
    PathRule(pattern=".env.template", may_read=True, may_write=False, reason=_SECRET),
    PathRule(pattern=".env*", may_read=False, may_write=False, reason=_SECRET),
    # Addresses of remotes may have a token in them.
    PathRule(pattern=".git/config", may_read=False, may_write=False, reason=_SECRET),
    PathRule(pattern=".git", may_read=True, may_write=False, reason=_GIT),
    # The short name that Windows gives to it.
    PathRule(pattern="git~[0-9]", may_read=True, may_write=False, reason=_GIT),
    PathRule(
        pattern="/.agentcore",
        may_read=True,
        may_write=False,
        reason="agentcore keeps drafts and results of its own there",
    ),
    PathRule(pattern=".bashrc", may_read=True, may_write=False, reason=_STARTUP),
    PathRule(pattern=".bash_profile", may_read=True, may_write=False, reason=_STARTUP),
    PathRule(pattern=".profile", may_read=True, may_write=False, reason=_STARTUP),
    PathRule(pattern=".zsh*", may_read=True, may_write=False, reason=_STARTUP),
)
"""The first row that covers a path decides; a path that none covers may be read and written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRules:
    """What the file tools may do; for `file_tools`."""

    paths: tuple[PathRule, ...] = PATH_RULES
    """The first row that covers a path decides. Your own go before: `(mine, *PATH_RULES)`."""
    max_write_bytes: int = 10 * 1024 * 1024
    """How large a file may be after a write or an edit."""
    max_read_bytes: int = 64 * 1024 * 1024
    """How large a file may be to be read from."""
    max_search_bytes: int = 4 * 1024 * 1024
    """Larger files are left out of a search, which says so."""

    def __post_init__(self) -> None:
        for name in ("max_write_bytes", "max_read_bytes", "max_search_bytes"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ConfigurationError(
                    f"FileRules({name}={value!r}): give a whole number of bytes from 1 on"
                )
        for row in self.paths:
            if not row.pattern.strip("/"):
                raise ConfigurationError(f"{row!r}: name a file or folder in the pattern")

    def refusal(self, parts: Sequence[str], *, writes: bool) -> str:
        """Why a path may not be touched; empty when it may."""
        rule = next((row for row in self.paths if row.covers(parts)), None)
        if rule is None or (rule.may_write if writes else rule.may_read):
            return ""
        return rule.reason
