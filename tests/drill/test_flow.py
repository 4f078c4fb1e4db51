"""How a script's numbers become those on the wire, and back."""

from __future__ import annotations

from corten.drill.flow import U32, Flow


def test_numbers_count_from_the_initial_ones() -> None:
    flow = Flow(40_001, 8080)
    flow.hear_syn(7000)
    flow.learn(900_000, 0, 7001)
    assert flow.peer_base(False) == 7000
    assert flow.stack_base(False) == 900_000


def test_a_syn_is_absolute_in_the_script() -> None:
    flow = Flow(40_001, 8080)
    flow.hear_syn(7000)
    flow.learn(900_000, 50, 7001)
    assert flow.peer_base(True) == 0
    assert flow.stack_base(True) == 900_000 - 50


def test_the_first_syn_stands_until_a_new_incarnation() -> None:
    flow = Flow(40_001, 8080)
    flow.hear_syn(100)
    flow.learn(5, 0, 101)
    flow.hear_syn(9999)  # a SYN that is challenged
    assert flow.peer_isn == 100
    flow.note_stamp(10, 77)
    flow.learn(6, 0, 10_000)  # a SYN-ACK with another ISN
    assert flow.peer_isn == 9999
    assert flow.stack_isn == 6
    assert not flow.stamps


def test_the_same_syn_ack_again_is_no_new_incarnation() -> None:
    flow = Flow(40_001, 8080)
    flow.hear_syn(100)
    flow.learn(5, 0, 101)
    flow.note_stamp(10, 77)
    flow.learn(5, 0, 101)
    assert flow.stamps == {10: 77}


def test_nothing_is_known_of_a_port_that_refuses() -> None:
    flow = Flow(40_001, 8080)
    assert (flow.peer_base(False), flow.stack_base(False)) == (0, 0)


def test_timestamps_are_mapped_by_a_table_and_then_by_the_clock() -> None:
    flow = Flow(40_001, 8080)
    assert flow.stamp_of(0) == 0
    flow.note_stamp(None, 500)
    assert flow.stamp_of(3) == 500  # the script wrote none: the last one
    flow.note_stamp(100, U32)
    flow.note_stamp(300, 1000)
    assert flow.stamp_of(300) == 1000
    assert flow.stamp_of(110) == 9  # ten ticks after the first, which was about to wrap
    assert flow.script_stamp(9) == 110
