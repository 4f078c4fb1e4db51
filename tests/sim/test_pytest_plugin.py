"""The pytest plugin: the fixture, coroutines, seeds, and what a failure shows."""

from __future__ import annotations

import pytest

from corten.wire import pcapng
from tests.cli.command import ROOT

PLUGIN = ("-p", "corten.sim.pytest_plugin")

FAILS = """
async def test_it(network):
    server, client = network.host("server"), network.host("client")
    network.link(client, server, loss=1.0)
    loop = network.loop
    try:
        await client.task(loop.create_connection(lambda: None, "server", 80))
    except OSError:
        pass
    assert False, "as foreseen"
"""


def test_a_failure_shows_the_packets_and_how_to_have_it_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_client=FAILS)
    done = pytester.runpytest_inprocess(*PLUGIN)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "*as foreseen*",
            "*- corten -*",
            "*client*who-has 10.0.0.2 tell 10.0.0.1*",
            "*-- lost",
            "seed *: pytest 'test_client.py::test_it' --corten-seed=*",
            "packets: .corten/test_client.py-test_it.pcapng",
        ]
    )
    path = pytester.path / ".corten" / "test_client.py-test_it.pcapng"
    packets = pcapng.read(path.read_bytes())
    assert packets
    assert all(packet.comment.endswith(": lost") for packet in packets)


def test_the_seed_is_the_tests_own_unless_one_is_given(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_a(network):
            print("seed", network.seed)

        def test_b(network):
            print("seed", network.seed)
        """
    )

    def seeds(*options: str) -> list[str]:
        done = pytester.runpytest_inprocess(*PLUGIN, "-s", *options)
        done.assert_outcomes(passed=2)
        return [line.split()[-1] for line in done.outlines if "seed " in line]

    first = seeds()
    assert first == seeds()
    assert len(set(first)) == 2
    assert [seed.rstrip(".") for seed in seeds("--corten-seed=42")] == ["42", "42"]


def test_a_coroutine_takes_other_fixtures_and_arguments(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio
        import pytest

        @pytest.fixture
        def three():
            return 3

        @pytest.mark.parametrize("four", [4, 5])
        async def test_it(three, network, four):
            await asyncio.sleep(three * 1000)
            assert network.now == 3000
            assert four == 4
        """
    )
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=1, failed=1)


def test_a_coroutine_that_hangs_fails_and_says_where(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio

        async def test_it(network):
            await asyncio.get_running_loop().create_future()
        """
    )
    done = pytester.runpytest_inprocess(*PLUGIN)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*nothing is left to happen", "*test_it waits, at *.py:4"])


def test_a_folder_that_cannot_be_written_does_not_hide_the_failure(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(test_client=FAILS)
    pytester.path.joinpath("taken").write_text("a file")
    done = pytester.runpytest_inprocess(*PLUGIN, "--corten-pcapng=taken")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*as foreseen*", "no pcapng: taken*"])


def test_it_loads_nothing_of_ours_before_it_is_asked(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            assert "corten.sim.network" not in sys.modules
            assert "corten.stack.stack" not in sys.modules
        """
    )
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = pytester.runpytest_subprocess(*PLUGIN, "-p", "no:timeout", "-p", "no:xdist")
    done.assert_outcomes(passed=1)
