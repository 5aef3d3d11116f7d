"""Make the bucket classifier's weights from the corpus: ``python -m voice.analyse.train``.

Prints, before it writes anything, what the classifier scores on voicemails that it was not trained
on (each fold leaves out whole trades of the English corpus and whole languages of the others) and what simpler
ones score on the same folds. From those held-out scores come the temperature that makes the
chances honest and the chance from which spam is believed. The same corpus gives the same weights,
up to the rounding of the machine's linear algebra. ``--only-final`` keeps both figures of the last run
and skips the folds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mappings.event import Bucket
from voice.analyse import tune
from voice.analyse.classify import BUCKETS, WEIGHTS, Model, load, verdict
from voice.analyse.encoder import Encoder, Numbers, encoder, soft

CORPUS = Path(__file__).with_name("corpus")
FOLDS = 3
SPAM_PRECISION = 0.985
"""What spam has to reach on held-out voicemails: above the goal of 0.97, since unseen ones are harder."""

Classes = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Example:
    """A voicemail of the corpus; *group* is what a fold leaves out as a whole."""

    text: str
    bucket: Bucket
    language: str
    vertical: str

    @property
    def group(self) -> str:
        """Give the trade of an English voicemail and the language of another."""
        return self.vertical if self.language == "en" else self.language


def read(path: Path) -> list[Example]:
    """Read one file of the corpus."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return [
        Example(row["text"], Bucket(row["bucket"]), row["language"], row["vertical"])
        for row in rows
    ]


def corpus(folder: Path = CORPUS) -> list[Example]:
    """Read all files that are there to train on."""
    return [example for path in sorted(folder.glob("train_*.jsonl")) for example in read(path)]


def fingerprint(examples: Sequence[Example]) -> str:
    """Give a hash of what the classifier learns from: texts and buckets, in order."""
    joined = json.dumps([(example.text, example.bucket.value) for example in examples])
    return hashlib.sha256(joined.encode()).hexdigest()


def classes_of(examples: Sequence[Example]) -> Classes:
    """Give the number of each example's bucket."""
    return np.array([BUCKETS.index(example.bucket) for example in examples])


def folds(groups: Sequence[str]) -> list[NDArray[np.bool_]]:
    """Divide into parts of about equal size, each group in one part; True marks the part."""
    sizes = {group: groups.count(group) for group in sorted(set(groups))}
    order = np.random.default_rng(0).permutation(sorted(sizes)).tolist()
    parts: list[set[str]] = [set() for _ in range(FOLDS)]
    for group in sorted(order, key=lambda group: -sizes[group]):
        min(parts, key=lambda part: sum(sizes[member] for member in part)).add(group)
    return [np.array([group in part for group in groups]) for part in parts]


def chances_of(reader: Encoder, weights: tune.Weights, texts: Sequence[Numbers]) -> Numbers:
    """Give the raw chances of each bucket, row by row."""
    upper = tune.adapted(reader, weights)
    pooled = np.stack([upper.resume(states, tune.FIRST)[-1].mean(axis=0) for states in texts])
    logs: Numbers = np.log(soft(pooled @ weights["head.weight"] + weights["head.bias"]) + 1e-12)
    return logs


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


Job = tuple[list[Numbers], Classes]


def _train(job: Job) -> tune.Weights:
    """Train on one selection of voicemails."""
    texts, classes = job
    return tune.fit(encoder(), texts, classes, len(BUCKETS), tune.Plan())


def train_all(texts: list[Numbers], classes: Classes, parts: Sequence[NDArray[np.bool_]],
              jobs: int) -> list[tune.Weights]:  # fmt: skip
    """Train on everything outside each part, *jobs* at the same time; weights i belong to part i."""
    work: list[Job] = [
        ([text for text, out in zip(texts, part, strict=True) if not out], classes[~part])
        for part in parts
    ]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(_train, work))


def temperature_for(logs: Numbers, classes: Classes) -> float:
    """Find the temperature under which the held-out buckets are likeliest."""

    def surprise(temperature: float) -> float:
        chances = soft(logs / np.float32(temperature))
        return float(-np.log(chances[np.arange(len(classes)), classes] + 1e-9).mean())

    return min((round(0.2 + 0.02 * step, 2) for step in range(90)), key=surprise)


def spam_from(chances: Numbers, classes: Classes) -> float:
    """Find the smallest chance from which spam is right often enough."""
    spam = BUCKETS.index(Bucket.SPAM)
    claimed = chances.argmax(axis=1) == spam
    for line in np.unique(np.round(chances[claimed, spam], 3)):
        kept = claimed & (chances[:, spam] >= line)
        if (classes[kept] == spam).mean() >= SPAM_PRECISION:
            return float(line)
    return 1.0


def report(title: str, chosen: Classes, classes: Classes) -> str:
    """Give macro-F1 and per bucket precision, recall and F1, as lines of Markdown."""
    rows, all_f1 = [], []
    for number, bucket in enumerate(BUCKETS):
        hit = int(((chosen == number) & (classes == number)).sum())
        precision = hit / max(1, int((chosen == number).sum()))
        recall = hit / max(1, int((classes == number).sum()))
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        all_f1.append(f1)
        count = int((classes == number).sum())
        rows.append(f"| {bucket.value} | {count} | {precision:.2f} | {recall:.2f} | {f1:.2f} |")
    head = f"\n**{title}**: macro-F1 {np.mean(all_f1):.3f}, n = {len(classes)}\n"
    return "\n".join(
        [head, "| bucket | n | precision | recall | F1 |", "|---|---|---|---|---|", *rows]
    )


def confusion(chosen: Classes, classes: Classes) -> str:
    """Give the table of what was taken for what; a row is what it was."""
    count = len(BUCKETS)
    table = np.zeros((count, count), int)
    np.add.at(table, (classes, chosen), 1)
    names = [bucket.value for bucket in BUCKETS]
    rows = [
        f"| {name} | " + " | ".join(map(str, row)) + " |"
        for name, row in zip(names, table.tolist(), strict=True)
    ]
    return "\n".join(
        ["", "| was \\ taken for | " + " | ".join(names) + " |", "|---" * (count + 1) + "|", *rows]
    )


def _baselines(examples: Sequence[Example], means: Numbers, classes: Classes,
               parts: list[NDArray[np.bool_]]) -> None:  # fmt: skip
    """Print what simpler classifiers score on the same folds."""
    # scikit-learn is needed for the comparison alone.
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - see above
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - see above
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - see above
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415 - see above

    texts = np.array([example.text for example in examples], dtype=object)
    tries: list[tuple[str, Callable[[], Any], NDArray[np.generic]]] = [
        (
            "TF-IDF of character n-grams, logistic regression",
            lambda: make_pipeline(
                TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
                LogisticRegression(C=10, max_iter=2000, class_weight="balanced"),
            ),
            texts,
        ),
        (
            "multilingual-e5-small as it is, logistic regression",
            lambda: make_pipeline(
                StandardScaler(),
                LogisticRegression(C=0.003, max_iter=2000, class_weight="balanced"),
            ),
            means,
        ),
    ]
    for title, make, features in tries:
        chosen = np.zeros_like(classes)
        for part in parts:
            chosen[part] = make().fit(features[~part], classes[~part]).predict(features[part])
        _say(report(title, chosen, classes).splitlines()[1])


def choose(chances: Numbers, line: float) -> Classes:
    """Give the number of the bucket that the verdict on each row of chances names."""
    return np.array([BUCKETS.index(verdict(row, line).bucket) for row in chances])


def compare(
    examples: Sequence[Example], texts: list[Numbers], parts: list[NDArray[np.bool_]]
) -> None:
    """Print what simpler classifiers score on the same folds."""
    means = np.stack([encoder().resume(text, tune.FIRST)[-1].mean(axis=0) for text in texts])
    _baselines(examples, means, classes_of(examples), parts)


def check(examples: Sequence[Example], logs: Numbers) -> tuple[float, float]:
    """Print the held-out figures; give the temperature and the chance from which spam is believed."""
    classes = classes_of(examples)
    temperature = temperature_for(logs, classes)
    chances = soft(logs / np.float32(temperature))
    line = spam_from(chances, classes)
    chosen = choose(chances, line)
    english = np.array([example.language == "en" for example in examples])
    _say(report("English, trades not trained on", chosen[english], classes[english]))
    _say(report("Other languages, none trained on", chosen[~english], classes[~english]))
    _say(confusion(chosen, classes))
    _say(f"\ntemperature {temperature:.2f}, spam from {line:.3f}")
    return temperature, line


def save(path: Path, weights: tune.Weights, temperature: float, line: float, mark: str) -> None:
    """Write the weights, half-precision, without pickle."""
    arrays: dict[str, Any] = {
        "buckets": np.array([bucket.value for bucket in BUCKETS]),
        "temperature": np.float32(temperature),
        "spam_from": np.float32(line),
        "corpus": np.array(mark),
    }
    arrays |= {name: value.astype(np.float16) for name, value in weights.items()}
    np.savez_compressed(path, **arrays)


def measure(model: Model, examples: Sequence[Example]) -> str:
    """Give the figures of a finished model on voicemails."""
    chosen = np.array([BUCKETS.index(model.judge(example.text).bucket) for example in examples])
    classes = classes_of(examples)
    return report("Measured", chosen, classes) + "\n" + confusion(chosen, classes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, print the figures, write the weights."""
    parser = argparse.ArgumentParser(prog="python -m voice.analyse.train", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="folds trained at the same time")
    parser.add_argument("--only-final", action="store_true", help="skip the folds")
    parser.add_argument(
        "--measure", type=Path, help="train nothing, measure on this JSON Lines file"
    )
    asked = parser.parse_args(arguments)
    if asked.measure:
        _say(measure(load(), read(asked.measure)))
        return 0
    examples = corpus()
    texts = [encoder().states(example.text, tune.FIRST)[-1] for example in examples]
    parts = [] if asked.only_final else folds([example.group for example in examples])
    if parts:
        compare(examples, texts, parts)
    nothing = np.zeros(len(examples), np.bool_)
    *tried, weights = train_all(texts, classes_of(examples), [*parts, nothing], asked.jobs)
    if parts:
        logs = np.zeros((len(examples), len(BUCKETS)), np.float32)
        for part, found in zip(parts, tried, strict=True):
            held_out = [text for text, out in zip(texts, part, strict=True) if out]
            logs[part] = chances_of(encoder(), found, held_out)
        temperature, line = check(examples, logs)
    else:
        temperature, line = load().temperature, load().spam_from
    save(WEIGHTS, weights, temperature, line, fingerprint(examples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
