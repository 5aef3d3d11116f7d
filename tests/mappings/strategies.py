"""Hypothesis strategies: arbitrary JSON, arbitrary events, and mappings that are mostly right."""

from __future__ import annotations

from hypothesis import strategies as st

from mappings.catalogue import catalogue
from mappings.convert import CONVERSIONS
from mappings.event import EVENT_TYPE

TEXTS = st.text(max_size=40)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**40), 10**40)
    | st.floats()
    | TEXTS
    | st.sampled_from(
        ["2026-11-20T22:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "+1415"]
    )
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
LITERALS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(-1e9, 1e9),
    st.text(max_size=20),
)
PATHS = st.sampled_from([field.path.replace("*", "branch") for field in catalogue()])
KEYS = st.text(min_size=1, max_size=10)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_:. -]{0,8}[A-Za-z]", fullmatch=True)


@st.composite
def templates(draw):
    """Templates of words, chips and doubled braces."""
    words = st.text("ab {}%\n,.()\u00e9", max_size=10).map(
        lambda text: text.replace("{", "{{").replace("}", "}}")
    )
    parts = draw(st.lists(words | PATHS.map("{{{}}}".format), min_size=1, max_size=5))
    return "".join(parts)


@st.composite
def directives(draw, *, place="set"):
    """Directives whose parts go together; whether check accepts them is not promised."""
    kinds = {"set": ("value", "from", "text", "list"), "match": ("from", "text")}
    kind = draw(st.sampled_from(kinds.get(place, ("value", "from", "text"))))
    if kind == "value":
        return {"value": draw(LITERALS)}
    if kind == "list":
        return {"list": draw(st.lists(directives(place="list"), min_size=1, max_size=3))}
    paths = st.lists(PATHS, min_size=1, max_size=3, unique=True)
    made = {kind: draw(templates() if kind == "text" else PATHS | paths)}
    names = st.sampled_from(sorted(CONVERSIONS))
    if draw(st.booleans()):
        made["as"] = draw(names | st.lists(names, min_size=1, max_size=3))
    if kind == "from" and draw(st.booleans()):
        made["choose"] = draw(st.dictionaries(KEYS, LITERALS, min_size=1, max_size=3))
    if "choose" in made and place != "match" and draw(st.booleans()):
        made["else"] = draw(LITERALS)
    if place != "match" and draw(st.booleans()):
        made["or"] = draw(LITERALS)
    if place != "match" and draw(st.booleans()):
        made["max"] = draw(st.integers(1, 60))
    if ("as" in made or "choose" in made) and draw(st.booleans()):
        made["unfit"] = draw(st.sampled_from(["park", "leave_out"]))
    if place == "set" and draw(st.booleans()):
        made["update"] = draw(st.sampled_from(["always", "if_empty", "never"]))
    return made


CONDITIONS = st.one_of(
    st.builds(lambda path, value: {"field": path, "is": value}, PATHS, LITERALS),
    st.builds(lambda path, value: {"field": path, "present": value}, PATHS, st.booleans()),
    st.builds(lambda path, value: {"field": path, "at_least": value}, PATHS, st.integers(0, 100)),
    st.builds(lambda path, value: {"field": path, "contains": value}, PATHS, KEYS),
    st.builds(
        lambda path, values: {"any": [{"field": path, "in": values}]},
        PATHS,
        st.lists(LITERALS, min_size=1, max_size=3),
    ),
)


@st.composite
def mappings(draw):
    """Whole mappings, of which check accepts many."""
    steps = []
    for number in range(draw(st.integers(1, 2))):
        step = {"id": f"s{number}", "object": draw(NAMES)}
        if draw(st.booleans()):
            step["match"] = draw(
                st.dictionaries(NAMES, directives(place="match"), min_size=1, max_size=2)
            )
        step["set"] = draw(st.dictionaries(NAMES, directives(), min_size=1, max_size=4))
        if number:
            step["set"]["Ref"] = {"id_of": "s0"}
        steps.append(step)
    made = {"version": 1, "event": EVENT_TYPE, "steps": steps}
    if draw(st.booleans()):
        made["when"] = draw(st.lists(CONDITIONS, min_size=1, max_size=3))
    if draw(st.booleans()):
        made["approve"] = {"urgency_at_least": draw(st.integers(0, 100))}
    return made


@st.composite
def events(draw):
    """Facts in the event's form with anything at all at its paths, or anything at all."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.dictionaries(TEXTS, JSON, max_size=4))
    facts = {}
    for path in draw(st.lists(PATHS, max_size=12)):
        part = facts
        *above, last = path.split(".")
        for name in above:
            part = part.setdefault(name, {}) if isinstance(part, dict) else {}
        if isinstance(part, dict):
            part[last] = draw(SCALARS | JSON)
    return facts
