"""The fast functions give what the plain ones give, for any event."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from hypothesis import given, settings

from mappings import compiled
from mappings.convert import Unfit
from mappings.directives import read_directive
from mappings.problem import Problems
from tests.mappings.strategies import directives, events

ZONE = ZoneInfo("America/Los_Angeles")


def _outcome(fill, facts):
    try:
        return repr(fill(facts, {}, ZONE))
    except Unfit as error:
        return str(error)


@settings(max_examples=300, deadline=None)
@given(directives(), events())
def test_fast_and_plain_agree(data, facts):
    """Whatever a field holds, the fast function's value or problem is the plain one's."""
    directive = read_directive(data, (), Problems())
    if directive is None or directive.max_chars is not None:
        return

    fast = _outcome(compiled.compile_directive(directive), facts)

    assert fast == _outcome(compiled._plainly(directive), facts)
