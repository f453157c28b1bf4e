"""A language model that has learnt nothing, as a GGUF file: some 27,000 random weights.

It is a llama of one block whose vocabulary is the 256 bytes, so that a grammar can have any text
from it. It leans towards quotes, line ends and control characters: texts come to an end, and hold
what real models only rarely write raw. The same seed gives the same file.

The format is written here by hand, for it is short: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import random
import struct
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias

__all__ = ["write_random_model"]

_WIDTH, _HEADS, _HIDDEN = 32, 2, 64
_CONTEXT_TOKENS = 4_096

_UNKNOWN, _BEGIN, _END = 0, 1, 2
_FIRST_BYTE = 3
_TOKENS = ("<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581")
"""The last is how SentencePiece spells a space."""
_NORMAL_TYPE, _UNKNOWN_TYPE, _CONTROL_TYPE, _BYTE_TYPE = 1, 2, 3, 6
_TOKEN_TYPES = (_UNKNOWN_TYPE, _CONTROL_TYPE, _CONTROL_TYPE, *[_BYTE_TYPE] * 256, _NORMAL_TYPE)

_PRESENT = 8.0
"""The first number of every token's embedding: what the leanings are multiplied with."""
_ASCII_LEANING = 0.5
_LEANINGS = {'"': 0.8, "\n": 1.0, "\t": 1.0, "\x01": 1.0}
_END_LEANING = 0.6

_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_F32_TENSOR = 0
_ALIGNMENT = 32

Tensor: TypeAlias = tuple[str, tuple[int, ...], "array[float]"]
"""Name, shape with the fastest dimension first, values."""


def write_random_model(path: Path, *, seed: int = 5) -> None:
    """Write the model's file."""
    tensors = list(_tensors(random.Random(seed)))
    fields = list(_fields())
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields)) + b"".join(fields)
    sizes = [_padded(len(values) * values.itemsize) for *_, values in tensors]
    for (name, shape, _), offset in zip(tensors, accumulate(sizes, initial=0), strict=False):
        head += _text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        head += struct.pack("<IQ", _F32_TENSOR, offset)
    blocks = [head, *(values.tobytes() for *_, values in tensors)]
    path.write_bytes(b"".join(block.ljust(_padded(len(block)), b"\0") for block in blocks))


def _tensors(chance: random.Random) -> Iterable[Tensor]:
    def weights(columns: int, rows: int, spread: float = 0.02) -> list[float]:
        return [chance.gauss(0.0, spread) for _ in range(columns * rows)]

    def tensor(name: str, values: Sequence[float], *shape: int) -> Tensor:
        return f"{name}.weight", shape, array("f", values)

    embedding, output = weights(_WIDTH, len(_TOKENS), 0.5), weights(_WIDTH, len(_TOKENS), 0.1)
    embedding[::_WIDTH] = [_PRESENT] * len(_TOKENS)
    output[::_WIDTH] = _leanings()
    ones = [1.0] * _WIDTH
    yield tensor("token_embd", embedding, _WIDTH, len(_TOKENS))
    yield tensor("output", output, _WIDTH, len(_TOKENS))
    yield tensor("output_norm", ones, _WIDTH)
    for name in ("attn_norm", "ffn_norm"):
        yield tensor(f"blk.0.{name}", ones, _WIDTH)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        yield tensor(f"blk.0.{name}", weights(_WIDTH, _WIDTH), _WIDTH, _WIDTH)
    for name in ("ffn_gate", "ffn_up"):
        yield tensor(f"blk.0.{name}", weights(_WIDTH, _HIDDEN), _WIDTH, _HIDDEN)
    yield tensor("blk.0.ffn_down", weights(_HIDDEN, _WIDTH), _HIDDEN, _WIDTH)


def _leanings() -> list[float]:
    """For each token, how much more likely than another it is."""
    leanings = [0.0] * len(_TOKENS)
    leanings[_END] = _END_LEANING
    for byte in range(0x20, 0x7F):
        leanings[_FIRST_BYTE + byte] = _ASCII_LEANING
    for character, leaning in _LEANINGS.items():
        leanings[_FIRST_BYTE + ord(character)] = leaning
    return leanings


def _fields() -> Iterable[bytes]:
    yield _field("general.architecture", _STRING, _text("llama"))
    for name, count in {
        "llama.context_length": _CONTEXT_TOKENS,
        "llama.embedding_length": _WIDTH,
        "llama.block_count": 1,
        "llama.feed_forward_length": _HIDDEN,
        "llama.attention.head_count": _HEADS,
        "llama.attention.head_count_kv": _HEADS,
        "llama.rope.dimension_count": _WIDTH // _HEADS,
        "llama.vocab_size": len(_TOKENS),
        "tokenizer.ggml.unknown_token_id": _UNKNOWN,
        "tokenizer.ggml.bos_token_id": _BEGIN,
        "tokenizer.ggml.eos_token_id": _END,
    }.items():
        yield _field(name, _UINT32, struct.pack("<I", count))
    yield _field("llama.attention.layer_norm_rms_epsilon", _FLOAT32, struct.pack("<f", 1e-5))
    yield _field("tokenizer.ggml.model", _STRING, _text("llama"))
    yield _field("tokenizer.ggml.add_space_prefix", _BOOL, b"\0")
    yield _list("tokenizer.ggml.tokens", _STRING, [_text(token) for token in _TOKENS])
    yield _list("tokenizer.ggml.scores", _FLOAT32, [struct.pack("<f", 0.0)] * len(_TOKENS))
    yield _list("tokenizer.ggml.token_type", _INT32, [struct.pack("<i", t) for t in _TOKEN_TYPES])


def _field(name: str, kind: int, value: bytes) -> bytes:
    return _text(name) + struct.pack("<I", kind) + value


def _list(name: str, kind: int, values: Sequence[bytes]) -> bytes:
    return _field(name, _ARRAY, struct.pack("<IQ", kind, len(values)) + b"".join(values))


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
