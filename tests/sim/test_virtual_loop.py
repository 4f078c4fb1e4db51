"""VirtualLoop: time jumps, no order comes from the machine, what is the kernel's is refused."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import secrets
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from corten.endpoint.error import CortenError
from corten.sim import Net, NotVirtual, SimulationFailure, virtual_loop
from corten.sim.virtual_loop import VirtualLoop


@pytest.fixture
def net() -> Iterator[Net]:
    with Net(seed=1) as made:
        yield made


def test_time_jumps(net: Net) -> None:
    started = time.perf_counter()

    async def wait() -> float:
        await asyncio.sleep(3600)
        async with asyncio.timeout(5):
            await asyncio.sleep(4.5)
        return asyncio.get_running_loop().time()

    assert net.run(wait()) == pytest.approx(3604.5)
    assert time.perf_counter() - started < 60  # an hour would be noticed


def test_a_timer_of_less_than_the_clock_shows_still_ends(net: Net) -> None:
    net.run(asyncio.sleep(1e-12))
    net.run(asyncio.sleep(1e6 + 1e-9), within=2e6)
    net.run(asyncio.sleep(1e-9))
    assert net.now > 1e6


def test_a_set_of_tasks_has_the_order_in_which_they_were_made(net: Net) -> None:
    async def group() -> list[str]:
        ended: list[str] = []

        async def one(name: str) -> None:
            try:
                await asyncio.sleep(1000)
            finally:
                ended.append(name)

        tasks = {asyncio.ensure_future(one(str(i))) for i in range(40)}
        await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return ended

    assert net.run(group()) == [str(i) for i in range(40)]


def test_a_task_that_nobody_holds_lives(net: Net) -> None:
    done = []

    async def forgotten() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        task = asyncio.ensure_future(forgotten())
        task.add_done_callback(lambda _: done.append(True))
        del task
        await asyncio.sleep(0)
        gc.collect()

    net.run(main())
    assert not done
    assert [line for line in net.loop.waiting() if "forgotten" in line]


def test_a_task_that_never_waits_is_an_error(net: Net) -> None:
    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(SimulationFailure, match="time stands still"):
        net.run(spin())


def test_an_executor_runs_at_once(net: Net) -> None:
    async def work() -> tuple[int, int]:
        return await asyncio.to_thread(threading.get_ident), threading.get_ident()

    there, here = net.run(work())
    assert there == here

    async def fail() -> None:
        await asyncio.to_thread(int, "x")

    with pytest.raises(ValueError, match="invalid literal"):
        net.run(fail())


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("add_reader", (0, print)),
        ("add_signal_handler", (1, print)),
        ("subprocess_exec", (asyncio.SubprocessProtocol, "true")),
        ("create_unix_server", (asyncio.Protocol, "x")),
        ("sock_recv", (None, 1)),
        ("connect_read_pipe", (asyncio.Protocol, None)),
    ],
)
def test_what_needs_the_kernel_is_refused(net: Net, name: str, arguments: Any) -> None:
    async def call() -> None:
        result = getattr(asyncio.get_running_loop(), name)(*arguments)
        await result

    with pytest.raises(NotVirtual, match=f"{name} needs the kernel") as caught:
        net.run(call())
    assert isinstance(caught.value, CortenError)
    assert isinstance(caught.value, NotImplementedError)


def test_other_threads_are_refused(net: Net) -> None:
    errors: list[Exception] = []

    def call(loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.call_soon_threadsafe(print)
        except NotVirtual as error:
            errors.append(error)

    async def main() -> None:
        thread = threading.Thread(target=call, args=(asyncio.get_running_loop(),))
        thread.start()
        thread.join()

    net.run(main())
    assert "threads have no virtual time" in str(errors[0])


def test_the_clock_and_chance_of_the_process_are_the_networks() -> None:
    async def draw() -> list[object]:
        await asyncio.sleep(12)
        return [
            time.time(),
            time.monotonic(),
            os.urandom(8),
            secrets.token_hex(8),
            random.random(),
            uuid.uuid4(),
        ]

    found = []
    for seed in (1, 1, 2):
        with Net(seed) as net:
            found.append(net.run(draw()))
    assert found[0] == found[1]
    assert found[0][:2] == found[2][:2] == [946_684_812.0, 12.0]
    assert not set(found[0][2:]) & set(found[2][2:])
    assert time.time() > 1_700_000_000
    assert os.urandom(8) != os.urandom(8)


def test_the_process_is_put_back_when_a_run_fails(net: Net) -> None:
    kept = (os.urandom, time.time, time.monotonic, random.getstate())

    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        net.run(fail())
    assert kept == (os.urandom, time.time, time.monotonic, random.getstate())


def test_a_run_within_a_run_is_refused(net: Net) -> None:
    host = net.host("host")

    async def main() -> None:
        host.run(asyncio.sleep(1))

    with pytest.raises(CortenError, match=r"a run is under way: within it, await host\.task"):
        net.run(main())


def test_circles_are_collected_at_turns_that_are_counted(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(virtual_loop, "COLLECT_EVERY", 50)
    gone: list[float] = []

    class Circle:
        def __init__(self) -> None:
            self.self = self

        def __del__(self) -> None:
            gone.append(net.now)

    async def main() -> None:
        for _ in range(200):
            Circle()
            await asyncio.sleep(1)

    assert gc.isenabled()
    net.run(main())
    assert gc.isenabled()
    assert 2 <= len(set(gone)) <= 10


def test_a_loop_that_is_dropped_says_nothing() -> None:
    VirtualLoop(Net().network)
