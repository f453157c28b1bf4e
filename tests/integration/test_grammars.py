"""Schemas of tools, made into grammars by llama.cpp itself: its converter, and its parser.

Its server makes a grammar of a schema whenever a call is forced, and one that it cannot read ends
the request.
"""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from agentcore import tool
from agentcore.messages import JsonObject
from agentcore.tools import BUILTIN_TOOLS
from agentcore.tools.schema import SchemaError
from agentcore.tools.strict import strict_schema
from tests.integration.servers import needs, program
from tests.tools.signatures import Typed, typed

pytestmark = needs("llama")

SCHEMAS = 300
CHILD = """
import ctypes, json, sys
import llama_cpp
from llama_cpp.llama_grammar import json_schema_to_gbnf

model = llama_cpp.Llama(model_path=sys.argv[1], n_ctx=32, verbose=False)
vocab = llama_cpp.llama_model_get_vocab(model.model)
for line in sys.stdin:
    try:
        grammar = json_schema_to_gbnf(line)
        sampler = llama_cpp.llama_sampler_init_grammar(vocab, grammar.encode(), b"root")
        told = "" if sampler else "the parser refused: " + grammar
        if sampler:
            llama_cpp.llama_sampler_free(sampler)
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
    print(json.dumps(told), flush=True)
"""


def refusals(schemas: list[JsonObject], model: Path) -> list[tuple[JsonObject, str]]:
    """The schemas that llama.cpp makes no grammar of, and why."""
    ran = subprocess.run(
        [program("llama", "python"), "-c", CHILD, str(model)],
        input="".join(f"{json.dumps(schema)}\n" for schema in schemas),
        capture_output=True,
        text=True,
        check=True,
    )
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(told) == len(schemas)
    return [(schema, why) for schema, why in zip(schemas, told, strict=True) if why]


def test_the_judge_can_say_no(random_model: Path) -> None:
    """Else it would judge nothing: a pattern without its ends is not taken."""
    bad: JsonObject = {"type": "object", "properties": {"a": {"type": "string", "pattern": "a+"}}}
    assert len(refusals([bad], random_model)) == 1


@pytest.mark.parametrize("name", BUILTIN_TOOLS)
def test_our_own_tools(name: str, random_model: Path) -> None:
    parameters = BUILTIN_TOOLS[name].spec.parameters
    assert refusals([parameters, strict_schema(parameters)], random_model) == []


def test_tools_of_any_signature(random_model: Path) -> None:
    schemas: list[JsonObject] = []

    @settings(
        max_examples=SCHEMAS,
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(typed)
    def collect(one: Typed) -> None:
        def take(x: object) -> None:
            pass

        take.__annotations__["x"] = one.annotation
        schema = tool(take).parameters
        schemas.append(schema)
        try:
            schemas.append(strict_schema(schema))
        except SchemaError:
            return  # an open object, which no strict schema has

    collect()
    assert len(schemas) > SCHEMAS
    assert refusals(schemas, random_model) == []
