"""What any reader must do: split lines, decode each event once, keep its text.

No errors, no checks, no retries: what a program costs that only hopes.
"""

import json
from dataclasses import dataclass, field

import jiter

WRITE_FILE = {
    "type": "function",
    "function": {
        "name": "write_file",
        "description": "Write a text file.",
        "parameters": {
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "mode": {"type": "string"},
                "content": {"type": "string"},
            },
            "required": ["path", "mode", "content"],
        },
    },
}
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}


@dataclass
class Answer:
    """One answer, fed with blocks of its body."""

    texts: list[str] = field(default_factory=list)
    call_id: str = ""
    arguments: list[str] = field(default_factory=list)
    _rest: bytes = b""

    def feed(self, block: bytes) -> None:
        """Decode the events that end in this block."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            if not line.startswith(b"data: ") or line == b"data: [DONE]":
                continue
            choices = jiter.from_json(line[6:])["choices"]
            if not choices:
                continue
            delta = choices[0]["delta"]
            if content := delta.get("content"):
                self.texts.append(content)
            elif calls := delta.get("tool_calls"):
                self.call_id = calls[0].get("id") or self.call_id
                self.arguments.append(calls[0]["function"]["arguments"])


class Floor:
    """A client over any function that sends a body and feeds an answer."""

    async def send(self, body: bytes) -> Answer:
        raise NotImplementedError

    async def text(self, prompt: str) -> str:
        answer = await self.send(request([user(prompt)]))
        return "".join(answer.texts)

    async def tool(self, prompt: str, arrived) -> str:
        messages = [user(prompt)]
        answer = await self.send(request(messages, WRITE_FILE))
        arguments = "".join(answer.arguments)
        content = jiter.from_json(arguments.encode())["content"]
        if arrived:
            arrived()
        messages += [call(answer, "write_file", arguments), result(answer, str(len(content)))]
        await self.send(request(messages, WRITE_FILE))
        return content

    async def loop(self, prompt: str) -> str:
        messages = [user(prompt)]
        while True:
            answer = await self.send(request(messages, ADD))
            if not answer.arguments:
                return "".join(answer.texts)
            arguments = "".join(answer.arguments)
            values = jiter.from_json(arguments.encode())
            messages += [
                call(answer, "add", arguments),
                result(answer, str(values["a"] + values["b"])),
            ]

    loop_in_threads = loop  # it has no reason to use one

    def conversation(self, messages: list[dict]) -> list[dict]:
        return messages

    async def history(self, prompt: str, conversation: list[dict]) -> str:
        messages = [json.dumps(message).encode() for message in conversation]
        answer = await self.send(request([*messages, user(prompt)]))
        return "".join(answer.texts)


# Each message is serialised once, and its bytes are used by every later request.


def user(prompt: str) -> bytes:
    return json.dumps({"role": "user", "content": prompt}).encode()


def call(answer: Answer, name: str, arguments: str) -> bytes:
    function = {"name": name, "arguments": arguments}
    calls = [{"id": answer.call_id, "type": "function", "function": function}]
    return json.dumps({"role": "assistant", "content": None, "tool_calls": calls}).encode()


def result(answer: Answer, content: str) -> bytes:
    message = {"role": "tool", "tool_call_id": answer.call_id, "content": content}
    return json.dumps(message).encode()


def request(messages: list[bytes], tool: dict | None = None) -> bytes:
    tools = b"" if tool is None else b',"tools":[%b]' % json.dumps(tool).encode()
    return b'{"model":"bench","stream":true,"messages":[%b]%b}' % (b",".join(messages), tools)
