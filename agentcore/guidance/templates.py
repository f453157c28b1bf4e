"""`Templates`: a situation to words. The package's own, or a folder's in their place.

jinja2 is imported when the first text is rendered, or a folder is given: `import agentcore` goes
without it.
"""

import logging
import os
from collections.abc import Collection, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentcore.errors import ConfigurationError
from agentcore.guidance.folder import SUFFIX, Stamp, read_folder, stamp_of
from agentcore.messages import mend_surrogates

if TYPE_CHECKING:
    import jinja2

    from agentcore.guidance.situations import Situation

__all__ = ["Templates", "package_source", "templates_in"]

MAX_TOLD_PROBLEMS: Final = 8
"""How many of a folder's problems an error lists; `agentcore guidance --folder` lists all."""

_log = logging.getLogger("agentcore")


class Templates:
    """The words for every situation, compiled once."""

    def __init__(
        self, folder: str | os.PathLike[str] | None = None, *, offered: Collection[str] = ()
    ) -> None:
        """Read, compile and try out a folder's templates; the package's are taken as they are.

        Args:
            folder: `<name>.md.jinja` in it replaces the package's template of that name. None means
                the package's alone.
            offered: Names of the tools on offer, which a template may name.

        Raises:
            ConfigurationError: Something in the folder cannot be used; the text lists what, with
                file and line.
        """
        self._own: dict[str, jinja2.Template] = {}
        self.folder = Path(folder) if folder is not None else None
        """Where templates of the user's own are; None for nowhere."""
        if self.folder is not None:
            from agentcore.guidance.checks import check_sources

            sources, problems = read_folder(self.folder)
            problems += check_sources(sources, folder=self.folder, offered=offered)
            if problems:
                told = [f"- {problem}" for problem in problems[:MAX_TOLD_PROBLEMS]]
                if more := len(problems) - len(told):
                    told.append(f"- and {more} more; `agentcore guidance --folder` lists them all")
                raise ConfigurationError(
                    f"guidance {str(self.folder)!r} cannot be used:\n" + "\n".join(told)
                )
            environment = environment_of(sources)
            self._own = {name: environment.get_template(name + SUFFIX) for name in sources}

    @property
    def replaced(self) -> frozenset[str]:
        """Names of the templates that are the folder's."""
        return frozenset(self._own)

    def render(self, situation: "Situation") -> str:
        """The text of a situation.

        A template of the user's own that fails at values which no sample had never costs a run: the
        package's takes its place, with a warning in the log.
        """
        if (own := self._own.get(situation.template)) is not None:
            try:
                return _rendered(own, situation)
            except Exception:
                _log.warning(
                    "the template %s of %s failed; the package's takes its place",
                    situation.template,
                    self.folder,
                    exc_info=True,
                )
        return _rendered(environment_of(None).get_template(situation.template + SUFFIX), situation)


def templates_in(folder: Path, *, offered: Collection[str]) -> Templates:
    """The templates of a folder; the same object as long as no file in it has changed.

    Raises:
        ConfigurationError: Something in it cannot be used.
    """
    return _cached(folder, stamp_of(folder), frozenset(offered))


@lru_cache(maxsize=8)
def _cached(folder: Path, _: Stamp, offered: frozenset[str]) -> Templates:
    return Templates(folder, offered=offered)


def _rendered(template: "jinja2.Template", situation: "Situation") -> str:
    return mend_surrogates(template.render(situation.values()).strip())


def package_source(name: str) -> str:
    """The text of one of the package's templates.

    Args:
        name: Without the suffix; one that exists.
    """
    environment = environment_of(None)
    assert environment.loader is not None
    source, _, _ = environment.loader.get_source(environment, name + SUFFIX)
    return source


def environment_of(sources: Mapping[str, str] | None) -> "jinja2.Environment":
    """Compiles templates: a folder's, by name, above the package's; None means the package's.

    A folder's template reaches the package's as `agentcore/<name>.md.jinja`.
    """
    return _package_environment() if sources is None else _environment(sources)


@cache
def _package_environment() -> "jinja2.Environment":
    return _environment({})


def _environment(sources: Mapping[str, str]) -> "jinja2.Environment":
    from jinja2 import ChoiceLoader, DictLoader, PackageLoader, PrefixLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    package = PackageLoader("agentcore")
    own = DictLoader({name + SUFFIX: source for name, source in sources.items()})
    environment = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader([own, PrefixLoader({"agentcore": package}), package]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_without_needless_digits,
    )
    environment.globals.clear()
    return environment


def _without_needless_digits(value: object) -> object:
    if not isinstance(value, float):
        return value
    return f"{value:.1f}".removesuffix(".0") if value >= 1 else f"{value:.2g}"
