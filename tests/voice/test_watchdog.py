"""Three clocks round a model's stream, on time that passes only when everybody waits."""

import asyncio

import pytest

from voice.clock import elapsed
from voice.sandbox import virtual
from voice.watchdog import Clocks, Done, Failed, Level, Reason, Stalled, Token, watch


class Scripted:
    """A model that waits and speaks as told: numbers are seconds, texts are tokens, exceptions are raised."""

    def __init__(self, *attempts):
        """Take one script an attempt."""
        self.attempts = list(attempts)
        self.opened = 0
        self.closed = 0

    async def open(self):
        """Connect: waiting and failing before "|" happens here."""
        script = list(self.attempts[min(self.opened, len(self.attempts) - 1)])
        self.opened += 1
        while "|" in script and script[0] != "|":
            await self._one(script.pop(0))
        return self._stream([each for each in script if each != "|"])

    async def _one(self, each):
        if isinstance(each, Exception):
            raise each
        if isinstance(each, (int, float)):
            await asyncio.sleep(each)

    async def _stream(self, script):
        try:
            for each in script:
                await self._one(each)
                if isinstance(each, (str, tuple)):
                    yield each
        finally:
            self.closed += 1


def seen(model, clocks=None):
    """Give what the watchdog says, each with the moment."""

    async def listen():
        start = elapsed()
        return [(round(elapsed() - start, 3), item) async for item in watch(model.open, clocks)]

    return virtual.run(listen())


def test_a_stream_in_time_passes_unchanged():
    """Tokens and the end, nothing else."""
    assert seen(Scripted([0.1, "|", 0.2, "Hello", " there"])) == [
        (0.3, Token("Hello")),
        (0.3, Token(" there")),
        (0.3, Done(has_spoken=True)),
    ]


def test_a_late_first_token_is_told_by_level():
    """At 0.8 and 2.5 seconds; then it may still come."""
    assert seen(Scripted(["|", 3.0, "Hello"])) == [
        (0.8, Stalled(Level.FILLER, 0.8, is_mid_stream=False)),
        (2.5, Stalled(Level.REPEAT, 2.5, is_mid_stream=False)),
        (3.0, Token("Hello")),
        (3.0, Done(has_spoken=True)),
    ]


def test_after_the_last_level_the_stream_is_given_up():
    """A connected model that says nothing is not waited for."""
    model = Scripted(["|", 3600.0, "Hello"])
    found = seen(model)

    assert [item.level for _, item in found[:-1]] == [Level.FILLER, Level.REPEAT, Level.TRANSFER]
    assert found[-1] == (6.0, Failed(Reason.STALLED, has_spoken=False))
    assert model.closed == 1


def test_white_space_is_nothing_useful():
    """A slow drip of blanks does not keep a caller company."""
    found = seen(Scripted(["|", *[0.5, " "] * 20]))

    assert found[-1] == (6.0, Failed(Reason.STALLED, has_spoken=False))
    assert Stalled(Level.FILLER, 0.8, is_mid_stream=False) in [item for _, item in found]


def test_a_tool_call_is_useful():
    """A model that asks for a tool is not silent."""
    found = seen(Scripted(["|", ("tool", "save_slot"), 1.0, "Thanks"]))

    assert not [item for _, item in found if isinstance(item, Stalled)]


def test_connecting_counts_too():
    """The caller waits for both; the clock runs from the start."""
    found = seen(Scripted([2.0, "|", 0.1, "Hello"]))

    assert found[0] == (0.8, Stalled(Level.FILLER, 0.8, is_mid_stream=False))
    assert found[1] == (2.1, Token("Hello"))


def test_a_connection_that_hangs_is_tried_once_more():
    """Then it has failed to connect."""
    model = Scripted([3600.0, "|"])
    found = seen(model, Clocks(connect=1.0, first=(0.8, 9.0, 10.0)))

    assert model.opened == 2
    assert found[-1][0] == 2.0
    assert found[-1][1].reason is Reason.CONNECT
    assert not found[-1][1].has_spoken


def test_an_error_before_anything_useful_is_tried_once_more():
    """Nobody has heard anything yet."""
    model = Scripted([ValueError("overloaded"), "|"], ["|", "Hello"])

    assert [item for _, item in seen(model)] == [Token("Hello"), Done(has_spoken=True)]
    assert model.opened == 2


def test_nothing_is_tried_again_after_a_token_was_spoken():
    """A sentence is not begun twice."""
    error = ConnectionError("cut")
    model = Scripted(["|", "Hel", error])
    found = [item for _, item in seen(model)]

    assert found == [Token("Hel"), Failed(Reason.ERROR, has_spoken=True, error=error)]
    assert model.opened == 1


def test_a_gap_in_mid_stream_is_told_and_ends_it():
    """Each token sets the clock anew."""
    found = seen(Scripted(["|", "One", 1.0, " two", 3600.0, " three"]))

    assert found[2] == (2.5, Stalled(Level.FILLER, 1.5, is_mid_stream=True))
    assert found[-1] == (8.0, Failed(Reason.GAP, has_spoken=True))


def test_an_empty_stream_says_so():
    """Done, and nothing was spoken."""
    assert seen(Scripted(["|"])) == [(0.0, Done(has_spoken=False))]


def test_who_stops_listening_stops_the_model():
    """An interruption closes the stream before anything else happens."""
    model = Scripted(["|", "One", 3600.0, " two"])

    async def interrupted():
        items = watch(model.open)
        assert await anext(items) == Token("One")
        await items.aclose()
        return model.closed

    assert virtual.run(interrupted()) == 1


def test_a_cancelled_listener_leaves_nothing_running():
    """Neither the reading nor a clock."""
    model = Scripted([3600.0, "|"])

    async def cancelled():
        async def listen():
            async for _ in watch(model.open, Clocks(connect=100.0, first=(50.0, 60.0, 70.0))):
                pass

        task = asyncio.create_task(listen())
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]

    assert virtual.run(cancelled()) == []


@pytest.mark.parametrize(
    "wrong", [{"first": (1, 0.5, 6)}, {"gap": (0, 1, 2)}, {"connect": 0}, {"retries": -1}]
)
def test_clocks_that_cannot_run_are_refused(wrong):
    """Times rise and are positive."""
    with pytest.raises(ValueError, match="must be"):
        Clocks(**wrong)
