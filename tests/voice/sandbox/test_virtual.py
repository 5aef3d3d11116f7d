"""Virtual time: exact, fast, and never ahead of a message."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import redis.asyncio
import websockets
from quart import Quart, request, websocket

from voice import clock
from voice.sandbox import virtual
from voice.sandbox.serving import serving


def sleepy_app():
    """An app that answers after a while, over HTTP and over a socket."""
    app = Quart("sleepy")

    @app.get("/after/<float:seconds>")
    async def after(seconds):
        await asyncio.sleep(seconds)
        return {"now": clock.elapsed()}

    @app.post("/echo")
    async def echo():
        return await request.get_data()

    @app.websocket("/ticks")
    async def ticks():
        every = float(await websocket.receive())
        while True:
            await asyncio.sleep(every)
            await websocket.send(f"{clock.elapsed():.3f}")

    return app


def test_hours_of_sleep_take_no_time():
    """A sleep of ten hours is over at once, at its exact moment."""

    async def main():
        await asyncio.sleep(36_000)
        return clock.elapsed(), clock.now()

    began = time.perf_counter()
    passed, moment = virtual.run(main(), start=datetime(2026, 12, 1, 8, 0, tzinfo=UTC))
    assert time.perf_counter() - began < 1
    assert passed == 36_000.0
    assert moment == datetime(2026, 12, 1, 18, 0, tzinfo=UTC)


def test_sums_of_sleeps_are_exact():
    """Ten tenths of a second are a second, not 0.9999999999999999."""

    async def main():
        for _ in range(10):
            await asyncio.sleep(0.1)
        return clock.elapsed()

    assert virtual.run(main()) == 1.0


def test_a_thousand_sleepers_wake_in_order_and_equals_in_the_order_they_lay_down():
    """Timers for one moment run first set, first served."""

    async def main():
        woken = []

        async def sleeper(number):
            await asyncio.sleep(number % 10)
            woken.append((clock.elapsed(), number))

        await asyncio.gather(*(sleeper(number) for number in range(1000)))
        return woken

    woken = virtual.run(main())
    assert woken == [(float(s), n) for s in range(10) for n in range(s, 1000, 10)]


def test_http_over_a_real_socket_takes_no_virtual_time_of_its_own():
    """A server's answer after two hours arrives after exactly two hours."""

    async def main():
        async with serving(sleepy_app()) as at, httpx.AsyncClient(timeout=None) as client:
            began = clock.elapsed()
            answer = await client.get(f"http://{at}/after/7200.0")
            return answer.json()["now"] - began, clock.elapsed() - began

    assert virtual.run(main()) == (7200.0, 7200.0)


def test_two_servers_and_two_kinds_of_clients_interleave_exactly():
    """Messages of two sockets and an HTTP answer come in the order and at the moments in which they were sent."""

    async def main():
        seen = []

        async def listen(at, every, name):
            async with websockets.connect(f"ws://{at}/ticks", ping_interval=None) as ws:
                await ws.send(str(every))
                while len(seen) < 40:
                    sent = float(await ws.recv())
                    seen.append((clock.elapsed(), name))
                    assert sent == clock.elapsed()

        async def ask(at):
            async with httpx.AsyncClient(timeout=None) as client:
                for _ in range(5):
                    await client.get(f"http://{at}/after/0.7")
                    seen.append((clock.elapsed(), "http"))

        async with serving(sleepy_app()) as one, serving(sleepy_app()) as two:
            await asyncio.gather(listen(one, 0.2, "one"), listen(two, 0.3, "two"), ask(one))
        return seen

    seen = virtual.run(main())
    assert [t for t, name in seen if name == "one"][:4] == [0.2, 0.4, 0.6, 0.8]
    assert [t for t, name in seen if name == "two"][:4] == [0.3, 0.6, 0.9, 1.2]
    assert [t for t, name in seen if name == "http"] == [0.7, 1.4, 2.1, 2.8, 3.5]
    assert seen == sorted(seen, key=lambda one: one[0])


def test_the_same_simulation_runs_the_same_way_twice():
    """Order does not depend on the machine."""

    async def main():
        seen = []

        async def listen(at, name):
            async with websockets.connect(f"ws://{at}/ticks", ping_interval=None) as ws:
                await ws.send("0.02")
                for _ in range(50):
                    await ws.recv()
                    seen.append((clock.elapsed(), name))

        async with serving(sleepy_app()) as at:
            await asyncio.gather(*(listen(at, name) for name in "abcdef"))
        return seen

    assert virtual.run(main()) == virtual.run(main())


def test_a_body_larger_than_any_socket_buffer_is_not_overtaken_by_a_timer():
    """Sixteen megabytes there and back take no virtual time."""

    async def main():
        async with serving(sleepy_app()) as at, httpx.AsyncClient() as client:
            body = b"x" * (15 << 20)
            answer = await client.post(f"http://{at}/echo", content=body)
            return answer.content == body, clock.elapsed()

    assert virtual.run(main()) == (True, 0.0)


def test_timeouts_of_asyncio_and_httpx_happen_at_their_virtual_moment():
    """asyncio.timeout and httpx's read time-out count virtual seconds."""

    async def main():
        moments = []
        async with serving(sleepy_app()) as at:
            try:
                async with asyncio.timeout(2.5):
                    await asyncio.sleep(100)
            except TimeoutError:
                moments.append(clock.elapsed())
            async with httpx.AsyncClient(timeout=4) as client:
                try:
                    await client.get(f"http://{at}/after/60.0")
                except httpx.ReadTimeout:
                    moments.append(clock.elapsed())
        return moments

    assert virtual.run(main()) == [2.5, 6.5]


def test_websocket_keepalive_runs_on_virtual_time_and_a_quiet_hour_does_not_break_it():
    """Pings every 20 virtual seconds are answered without virtual delay."""

    async def main():
        async with (
            serving(sleepy_app()) as at,
            websockets.connect(f"ws://{at}/ticks", ping_interval=20, ping_timeout=20) as ws,
        ):
            await ws.send("3600")
            return float(await ws.recv())

    assert virtual.run(main()) == 3600.0


def test_time_stands_while_something_outside_is_waited_for(services):
    """A thousand answers of a real Redis take no virtual time, though a timer waits to run."""

    async def main():
        client = redis.asyncio.from_url(services.redis_url)
        timer = asyncio.create_task(asyncio.sleep(0.001))
        with clock.outside():
            for number in range(1000):
                await client.set("virtual-time", number)
            value = await client.get("virtual-time")
            await client.aclose()
        passed = clock.elapsed()
        await timer
        return value, passed

    assert virtual.run(main()) == (b"999", 0.0)


def test_two_may_wait_outside_at_once(services):
    """Time goes on only when the last of them has come back."""

    async def main():
        async def inner(command):
            client = redis.asyncio.from_url(services.redis_url)
            with clock.outside():
                await client.execute_command(*command)
                await client.aclose()
            return clock.elapsed()

        timer = asyncio.create_task(asyncio.sleep(1))
        moments = await asyncio.gather(
            inner(("PING",)), inner(("BLPOP", "nothing-comes-here", "0.2"))
        )
        await timer
        return moments, clock.elapsed()

    assert virtual.run(main()) == ([0.0, 0.0], 1.0)


def test_an_outside_that_stays_silent_lets_timeouts_happen(monkeypatch):
    """After real patience the virtual timers go on."""
    monkeypatch.setattr(virtual, "OUTSIDE_PATIENCE_S", 0.05)

    async def main():
        with clock.outside():
            try:
                async with asyncio.timeout(3):
                    await asyncio.get_running_loop().create_future()
            except TimeoutError:
                return clock.elapsed()

    assert virtual.run(main()) == 3.0


def test_work_in_a_thread_holds_time():
    """A thread's real tenth of a second is no virtual time."""

    async def main():
        timer = asyncio.create_task(asyncio.sleep(5))
        await asyncio.to_thread(time.sleep, 0.1)
        passed = clock.elapsed()
        await timer
        return passed, clock.elapsed()

    assert virtual.run(main()) == (0.0, 5.0)


def test_names_are_looked_up_without_virtual_time():
    """A connection to a host by name works, though the look-up is a thread's."""

    async def main():
        async with serving(sleepy_app()) as at, httpx.AsyncClient(timeout=5) as client:
            port = at.split(":")[1]
            answer = await client.get(f"http://localhost:{port}/after/1.0")
            return answer.json()["now"]

    # Happy Eyeballs may try ::1 first; it is refused at once.
    assert virtual.run(main()) == 1.0


def test_a_deadlock_is_told_with_who_waits_where(monkeypatch):
    """When nothing can happen any more, the error names the coroutines."""
    monkeypatch.setattr(virtual, "DEADLOCK_PATIENCE_S", 0.01)

    async def waits_for_nobody():
        await asyncio.get_running_loop().create_future()

    async def main():
        await asyncio.sleep(12)
        await waits_for_nobody()

    with pytest.raises(virtual.Deadlock, match=r"at 12\.000 s(.|\n)*waits_for_nobody"):
        virtual.run(main())


def test_a_simulation_that_never_ends_is_stopped():
    """A loop of sleeps ends at the limit."""

    async def main():
        while True:  # noqa: ASYNC110 - polling for ever is the fault
            await asyncio.sleep(60)

    with pytest.raises(virtual.TooLate):
        virtual.run(main(), limit=timedelta(hours=3))


def test_a_socket_that_nobody_reads_does_not_stop_time():
    """A writer that is blocked waits; others go on."""

    async def main():
        async def never_reads(reader, writer):
            await asyncio.sleep(50)
            writer.close()

        server = await asyncio.start_server(never_reads, "127.0.0.1", 0, limit=1024)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x" * (32 << 20))
        with pytest.raises(ConnectionError):
            await writer.drain()
        server.close()
        return clock.elapsed()

    assert virtual.run(main()) == 50.0


def test_an_app_is_served_when_it_has_started_and_a_slow_thread_takes_no_virtual_time():
    """What it does before serving, in a thread, is done before the first request."""
    app = sleepy_app()
    order = []

    @app.before_serving
    async def load():
        await asyncio.to_thread(time.sleep, 0.2)
        order.append("loaded")

    async def main():
        async with serving(app) as at, httpx.AsyncClient(timeout=0.1) as client:
            order.append("served")
            await client.get(f"http://{at}/after/0.0")
        return clock.elapsed()

    assert virtual.run(main()) == 0.0
    assert order == ["loaded", "served"]


def test_an_app_that_fails_to_start_says_why():
    """The error comes out of the block instead of a silence."""
    app = Quart("broken")

    @app.before_serving
    async def fail():
        raise RuntimeError("no keys")

    async def main():
        async with serving(app):
            pass

    with pytest.raises(Exception, match=r"no keys|startup"):
        virtual.run(main())
