"""What a package promises is sorted and complete."""

import importlib
import pkgutil

import pytest

import agentcore

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(agentcore.__path__, "agentcore.")
    if not module.name.endswith("strategies")
)


@pytest.mark.parametrize("name", ["agentcore", *MODULES])
def test_all_is_sorted_and_true(name: str) -> None:
    module = importlib.import_module(name)
    promised: list[str] = module.__all__
    # Constants, classes, functions: the order that the linter keeps.
    assert len(promised) == len(set(promised))
    assert all(hasattr(module, member) for member in promised)
