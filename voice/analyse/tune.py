"""Teach the upper layers of the encoder the buckets: low-rank adapters, in numpy.

Each matrix of the layers from :data:`FIRST` on gets a product of two thin matrices added to it, and only
those and the linear head are trained, so that what is shipped stays small and the many languages
that the encoder knows stay known. Source: https://arxiv.org/abs/2106.09685 (2026-11-22)

Forward and backward are written out here because nothing else in the product needs a framework
for it. The pieces of all texts of a batch lie one behind the other in one matrix; attention runs per text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from voice.analyse.encoder import WIDTH, Encoder, Layer, Numbers, gelu, soft

FIRST = 6
"""The first layer that is adapted; the layers below stay as they are and are computed once."""

RANK = 16
MATRICES = ("attend", "out", "widen", "narrow")

Weights = dict[str, Numbers]
"""Adapters by name (``5.out.down``, ``5.out.up``) and the head (``head.weight``, ``head.bias``)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train; the figures were chosen by cross-validation over trades and languages."""

    epochs: int = 3
    batch: int = 16
    rate: float = 8e-4
    head_rate: float = 2e-3
    smoothing: float = 0.1
    forget: float = 0.1
    """The share of pieces left out of each text each time it is read: no word may decide alone."""
    decay: float = 0.01
    seed: int = 0


def adapted(encoder: Encoder, weights: Mapping[str, Numbers]) -> Encoder:
    """Give an encoder whose matrices have the adapters added in."""
    layers = list(encoder.layers)
    for at in range(FIRST, len(layers)):
        changed = {
            name: getattr(layers[at], name)
            + weights[f"{at}.{name}.down"].astype(np.float32)
            @ weights[f"{at}.{name}.up"].astype(np.float32)
            for name in MATRICES
        }
        layers[at] = replace(layers[at], **changed)
    return replace(encoder, layers=tuple(layers))


def begin(encoder: Encoder, classes: int, plan: Plan) -> Weights:
    """Give the weights before training: adapters that change nothing and a head that knows nothing."""
    chance = np.random.default_rng(plan.seed)
    weights: Weights = {
        "head.weight": (chance.standard_normal((WIDTH, classes)) / WIDTH**0.5).astype(np.float32),
        "head.bias": np.zeros(classes, np.float32),
    }
    for at in range(FIRST, len(encoder.layers)):
        for name in MATRICES:
            rows, columns = getattr(encoder.layers[at], name).shape
            thin = chance.standard_normal((rows, RANK)) / rows**0.5
            weights[f"{at}.{name}.down"] = thin.astype(np.float32)
            weights[f"{at}.{name}.up"] = np.zeros((RANK, columns), np.float32)
    return weights


def _dense(
    values: Numbers, layer: Layer, at: int, name: str, weights: Weights
) -> tuple[Numbers, Numbers]:
    """Multiply by an adapted matrix; gives the result and the values inside the adapter."""
    thin = values @ weights[f"{at}.{name}.down"]
    whole = values @ getattr(layer, name) + getattr(layer, f"{name}_bias")
    return whole + thin @ weights[f"{at}.{name}.up"], thin


def _dense_back(  # noqa: PLR0917 - the mirror of _dense, called beside it four times
    slope: Numbers,
    values: Numbers,
    thin: Numbers,
    layer: Layer,
    at: int,
    name: str,
    weights: Weights,
    slopes: Weights,
) -> Numbers:
    """Send the slope back through an adapted matrix and note the adapter's own slopes."""
    inner = slope @ weights[f"{at}.{name}.up"].T
    slopes[f"{at}.{name}.up"] = thin.T @ slope
    slopes[f"{at}.{name}.down"] = values.T @ inner
    back: Numbers = slope @ getattr(layer, name).T + inner @ weights[f"{at}.{name}.down"].T
    return back


def _norm(values: Numbers, norm: tuple[Numbers, Numbers], epsilon: float) -> tuple[Numbers, ...]:
    """Layer normalisation; gives the result, the normalised values and one over their spread."""
    centred = values - values.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(epsilon))
    unit = centred / spread
    return unit * norm[0] + norm[1], unit, 1 / spread


def _norm_back(
    slope: Numbers, norm: tuple[Numbers, Numbers], unit: Numbers, over: Numbers
) -> Numbers:
    """Send the slope back through layer normalisation."""
    inner = slope * norm[0]
    mean = inner.mean(axis=-1, keepdims=True)
    along = (inner * unit).mean(axis=-1, keepdims=True)
    back: Numbers = (inner - mean - unit * along) * over
    return back


def _gelu_slope(values: Numbers) -> Numbers:
    """Give the slope of GELU at *values*."""
    scale, cubic = np.float32(0.7978845608), np.float32(0.044715)
    bent = np.tanh(scale * (values + cubic * values**3))
    rise = scale * (1 + 3 * cubic * values * values)
    slope: Numbers = 0.5 * (1 + bent) + 0.5 * values * (1 - bent * bent) * rise
    return slope


Tape = dict[str, Numbers | list[Numbers]]


class _Step:
    """One layer over one batch: forward keeps what backward needs."""

    def __init__(self, encoder: Encoder, at: int, bounds: Sequence[tuple[int, int]]) -> None:
        self.layer = encoder.layers[at]
        self.at = at
        self.heads = encoder.heads
        self.epsilon = encoder.epsilon
        self.bounds = bounds

    def forward(self, states: Numbers, weights: Weights) -> Numbers:
        """Give the states behind the layer."""
        self.states = states
        wide, self.thin_attend = _dense(states, self.layer, self.at, "attend", weights)
        self.wide = wide.reshape(len(states), 3, self.heads, -1)
        self.shares: list[Numbers] = []
        self.mixed = np.empty_like(states)
        for start, stop in self.bounds:
            query, key, value = self.wide[start:stop].transpose(1, 2, 0, 3)
            share = soft(query @ key.transpose(0, 2, 1))
            self.shares.append(share)
            self.mixed[start:stop] = (share @ value).transpose(1, 0, 2).reshape(-1, WIDTH)
        out, self.thin_out = _dense(self.mixed, self.layer, self.at, "out", weights)
        self.middle, self.unit_out, self.over_out = _norm(
            states + out, self.layer.out_norm, self.epsilon
        )
        self.inner, self.thin_widen = _dense(self.middle, self.layer, self.at, "widen", weights)
        self.bent = gelu(self.inner)
        narrow, self.thin_narrow = _dense(self.bent, self.layer, self.at, "narrow", weights)
        behind, self.unit_narrow, self.over_narrow = _norm(
            self.middle + narrow, self.layer.narrow_norm, self.epsilon
        )
        return behind

    def backward(self, slope: Numbers, weights: Weights, slopes: Weights) -> Numbers:
        """Give the slope before the layer, and note the slopes of its adapters."""
        layer, at = self.layer, self.at
        slope = _norm_back(slope, layer.narrow_norm, self.unit_narrow, self.over_narrow)
        inner = _dense_back(
            slope, self.bent, self.thin_narrow, layer, at, "narrow", weights, slopes
        ) * _gelu_slope(self.inner)
        slope = slope + _dense_back(
            inner, self.middle, self.thin_widen, layer, at, "widen", weights, slopes
        )
        slope = _norm_back(slope, layer.out_norm, self.unit_out, self.over_out)
        mixed = _dense_back(slope, self.mixed, self.thin_out, layer, at, "out", weights, slopes)
        wide = np.empty_like(self.wide)
        for (start, stop), share in zip(self.bounds, self.shares, strict=True):
            query, key, value = self.wide[start:stop].transpose(1, 2, 0, 3)
            part = mixed[start:stop].reshape(stop - start, self.heads, -1).transpose(1, 0, 2)
            of_share = part @ value.transpose(0, 2, 1)
            of_score = share * (of_share - (of_share * share).sum(axis=-1, keepdims=True))
            for place, found in enumerate(
                (
                    of_score @ key,
                    of_score.transpose(0, 2, 1) @ query,
                    share.transpose(0, 2, 1) @ part,
                )
            ):
                wide[start:stop, place] = found.transpose(1, 0, 2)
        flat = wide.reshape(len(slope), -1)
        return slope + _dense_back(
            flat, self.states, self.thin_attend, layer, at, "attend", weights, slopes
        )


def slopes_of(
    encoder: Encoder, weights: Weights, texts: Sequence[Numbers], wanted: Numbers
) -> tuple[float, Weights]:
    """Give the loss of a batch and its slope by each weight.

    *texts* are the states before layer :data:`FIRST`; row i of *wanted* is the share of each class.
    """
    stops = np.cumsum([len(text) for text in texts])
    bounds = [(int(stop) - len(text), int(stop)) for stop, text in zip(stops, texts, strict=True)]
    states = np.concatenate(texts)
    steps = [_Step(encoder, at, bounds) for at in range(FIRST, len(encoder.layers))]
    for step in steps:
        states = step.forward(states, weights)
    pooled = np.stack([states[start:stop].mean(axis=0) for start, stop in bounds])
    chance = soft(pooled @ weights["head.weight"] + weights["head.bias"])
    loss = float(-(wanted * np.log(chance + 1e-9)).sum(axis=1).mean())
    error: Numbers = (chance - wanted) / np.float32(len(texts))
    slopes: Weights = {
        "head.weight": pooled.T @ error,
        "head.bias": error.sum(axis=0, dtype=np.float32),
    }
    pooled_slope = error @ weights["head.weight"].T
    slope = np.concatenate(
        [
            np.repeat(row[None] / np.float32(stop - start), stop - start, axis=0)
            for row, (start, stop) in zip(pooled_slope, bounds, strict=True)
        ]
    )
    for step in reversed(steps):
        slope = step.backward(slope, weights, slopes)
    return loss, slopes


class _Adam:
    """AdamW with a short warm-up and a linear descent. Source: https://arxiv.org/abs/1711.05101."""

    def __init__(self, weights: Weights, plan: Plan, steps: int) -> None:
        self.plan, self.steps, self.count = plan, steps, 0
        self.first = {name: np.zeros_like(value) for name, value in weights.items()}
        self.second = {name: np.zeros_like(value) for name, value in weights.items()}

    def step(self, weights: Weights, slopes: Weights) -> None:
        """Move the weights a little down the slopes."""
        self.count += 1
        pace = min(1.0, self.count / (0.1 * self.steps)) * max(0.02, 1 - self.count / self.steps)
        length = float(np.sqrt(sum(float((value * value).sum()) for value in slopes.values())))
        shrink = np.float32(min(1.0, 1.0 / (length + 1e-9)))
        for name, slope in slopes.items():
            rate = pace * (self.plan.head_rate if name.startswith("head") else self.plan.rate)
            self.first[name] += np.float32(0.1) * (slope * shrink - self.first[name])
            self.second[name] += np.float32(0.001) * ((slope * shrink) ** 2 - self.second[name])
            mean = self.first[name] / (1 - 0.9**self.count)
            spread = np.sqrt(self.second[name] / (1 - 0.999**self.count)) + 1e-8
            weights[name] -= (rate * (mean / spread + self.plan.decay * weights[name])).astype(
                np.float32
            )


def fit(
    encoder: Encoder, texts: Sequence[Numbers], classes: NDArray[np.intp], count: int, plan: Plan
) -> Weights:
    """Train adapters and head on the states before layer :data:`FIRST`; the same input gives the same weights."""
    weights = begin(encoder, count, plan)
    chance = np.random.default_rng(plan.seed + 1)
    batches = -(-len(texts) // plan.batch)
    adam = _Adam(weights, plan, batches * plan.epochs)
    wanted = np.eye(count, dtype=np.float32) * np.float32(1 - plan.smoothing)
    wanted += np.float32(plan.smoothing / count)
    for _ in range(plan.epochs):
        order = chance.permutation(len(texts))
        for at in range(batches):
            chosen = order[at * plan.batch : (at + 1) * plan.batch]
            read = [_forget(texts[i], plan.forget, chance) for i in chosen]
            _, slopes = slopes_of(encoder, weights, read, wanted[classes[chosen]])
            adam.step(weights, slopes)
    return weights


def _forget(states: Numbers, share: float, chance: np.random.Generator) -> Numbers:
    """Leave out some pieces, never the first."""
    kept = chance.random(len(states)) >= share
    kept[0] = True
    return states[kept]
