"""What is masked, and where: in one piece, over blocks, over deltas."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcore.testing.masking import Credentials, Masker
from agentcore.testing.strategies import chunkings

KEY = "ak/4f9c+02e7-b1d8"
CREDENTIALS = Credentials([KEY])


def masked(blocks: list[bytes], credentials: Credentials = CREDENTIALS) -> bytes:
    masker = Masker(credentials)
    return b"".join([*(masker.feed(block) for block in blocks), masker.finish()])


def delta(text: str, colon: str = ": ") -> bytes:
    chunk = {"choices": [{"delta": {"content": text}}]}
    return b"data: " + json.dumps(chunk, separators=(",", colon)).encode() + b"\n\n"


def said(body: bytes) -> str:
    events = [json.loads(line[6:]) for line in body.splitlines() if line]
    return "".join(event["choices"][0]["delta"]["content"] for event in events)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"key {KEY}.", f"key {'*' * 17}."),
        ("key ak\\/4f9c+02e7-b1d8.", f"key {'*' * 18}."),
        ("?key=ak%2F4f9c%2B02e7-b1d8&a=1", f"?key={'*' * 21}&a=1"),
        ("sk-or-v1-0123456789abcdef", "*" * 25),
        ("KEY=\\nsk-proj-0123456789", f"KEY=\\n{'*' * 18}"),
        ("\\u0022sk-proj-0123456789", f"\\u0022{'*' * 18}"),
        ("Authorization: Bearer abc.def-12345", f"Authorization: Bearer {'*' * 13}"),
        ('{"api_key": "AbCdEfGh12345678"}', f'{{"api_key": "{"*" * 16}"}}'),
        ('{\\"access_token\\":\\"AbCdEfGh12345678\\"}', f'{{\\"access_token\\":\\"{"*" * 16}\\"}}'),
        (
            "Incorrect API key provided: AbCdEfGh12345678.",
            f"Incorrect API key provided: {'*' * 17}",
        ),
        ("ghp_0123456789abcdefABCDEF", "*" * 26),
        ("AKIAIOSFODNN7EXAMPLE", "*" * 20),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln", "*" * 45),
    ],
)
def test_each_byte_of_a_credential_becomes_an_asterisk(text: str, shown: str) -> None:
    assert CREDENTIALS.mask(text.encode()).decode() == shown


@pytest.mark.parametrize(
    "text",
    [
        "a task-management-system-of-our-own",
        "Bearer authentication is required",
        '{"max_tokens": 128000, "token_type": "bearer"}',
        "the token is a word, and so is password: no digits-in-this-long-word",
        'api_key = os.environ["OPENROUTER_API_KEY"]',
        "akia and eyj are no words",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert CREDENTIALS.mask(text.encode()).decode() == text


def test_what_is_too_short_is_no_secret() -> None:
    assert Credentials(["", "abc"]).mask(b"abc") == b"abc"


@given(st.data())
def test_blocks_of_any_size_are_masked_alike(data: st.DataObject) -> None:
    text = f'data: {{"error": "Bearer {KEY}"}}\r\n\r\n: {KEY}\n{KEY[:9]}\n api_key={KEY} sk-{KEY}12'
    whole = CREDENTIALS.mask(text.encode())
    assert KEY.encode() not in whole
    assert len(whole) == len(text.encode())
    assert masked(data.draw(chunkings(text.encode()))) == whole


@given(st.integers(1, len(KEY)), st.sampled_from([":", ": "]), st.data())
def test_a_named_secret_is_found_over_deltas(size: int, colon: str, data: st.DataObject) -> None:
    pieces = [KEY[at : at + size] for at in range(0, len(KEY), size)]
    body = b"".join(delta(piece, colon) for piece in ("The key: ", *pieces, " is it. "))
    shown = masked(data.draw(chunkings(body)))
    assert len(shown) == len(body)
    # Three characters may be seen before they can be the beginning of anything.
    hidden = said(shown).removeprefix("The key: ").removesuffix(" is it. ")
    assert len(hidden) == len(KEY)
    assert hidden.lstrip(KEY[:3]).strip("*") == ""


def test_a_credential_that_nobody_named_is_found_over_deltas_once_its_form_shows() -> None:
    token = "sk-proj-" + "0a1B2c3D" * 40
    blocks = [delta(token[at : at + 4]) for at in range(0, len(token), 4)]
    assert said(masked(blocks)) == token[:8] + "*" * (len(token) - 8)


def test_a_stream_that_is_cut_inside_a_secret_shows_none_of_it() -> None:
    assert said(masked([delta("It is "), delta(KEY[:7])])) == "It is *******"
    assert masked([b"no line break: " + KEY[:7].encode()]) == b"no line break: *******"


def test_a_line_goes_out_when_it_has_ended() -> None:
    masker = Masker(CREDENTIALS)
    assert masker.feed(b"data: one\n\ndata: t") == b"data: one\n\n"
    assert masker.feed(b"wo") == b""
    assert masker.feed(b"\n\n") == b"data: two\n\n"
    assert masker.feed(delta("It is ak/4")) == delta("It is ak/4")[: -len('ak/4"}}]}\n\n')]
    assert masker.feed(delta("0 all")) == delta("It is ak/4")[-len('ak/4"}}]}\n\n') :] + delta(
        "0 all"
    )


def test_little_is_held_back_of_a_line_without_an_end() -> None:
    masker = Masker(CREDENTIALS)
    body = b"x" * 1000 + f" {KEY} ".encode()
    blocks = [body] * 400
    given_back = b"".join(masker.feed(block) for block in blocks)
    assert len(given_back) > len(body) * 400 - 80_000
    assert given_back + masker.finish() == CREDENTIALS.mask(b"".join(blocks))


def test_what_only_begins_like_a_secret_is_not_held_for_long() -> None:
    masker = Masker(CREDENTIALS)
    body = [delta("ak/4"), *[b'data: {"other": "x"}\n\n'] * 5000]
    given_back = b"".join(masker.feed(block) for block in body)
    assert len(given_back) >= 5000 * len(body[1]) - 66_000
    masker.finish()
