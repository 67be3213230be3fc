"""Transitions of one alarm: what leads where, and what is refused."""

from __future__ import annotations

import pytest

from twin.alarms.state import MAX_SHELVE_S, Occurrence, Refusal, State

S = 1_000_000_000


def refused(desk, *args, **more):
    """Code and sentence of a refusal; the state must not have changed."""
    before = desk.alarms.snapshot()
    with pytest.raises(Refusal) as caught:
        desk.do(*args, **more)
    assert desk.alarms.snapshot() == before
    return caught.value.code, str(caught.value)


def test_raise_clear_acknowledge(desk):
    """NORM - UNACK - RTNUN - NORM: what nobody acknowledged stays until somebody does."""
    d = desk()
    d.see((1, 60))
    assert d.state() == "NORM"
    d.see((2, 75))
    assert d.state() == "UNACK"
    d.see((3, 60))
    assert d.state() == "RTNUN"
    assert d.do("ack", comment="seen", at_s=9) == "NORM"
    assert d.alarms.open() == []
    assert d.types() == ["alarm", "alarm_cleared", "alarm_acknowledged"]


def test_acknowledge_while_active(desk):
    """UNACK - ACKED - NORM, with who, when and what they said."""
    d = desk()
    d.see((2, 75))
    assert d.do("ack", comment="valve stuck", at_s=5) == "ACKED"
    occurrence = d.occurrence()
    assert (occurrence.acked_by, occurrence.comment) == ("ann", "valve stuck")
    assert occurrence.acked_ns == 5 * S
    (cleared,) = d.see((6, 60))
    assert cleared.detail["state"] == "NORM"
    assert d.alarms.open() == []


def test_latched_alarm_waits_for_reset(desk):
    """LUNACK - LACKED - NORM: a latched alarm goes only when a person has reset it."""
    d = desk(latch=True)
    d.see((2, 75))
    assert "still holds" in refused(d, "reset")[1]
    d.see((3, 60))
    assert d.state() == "LUNACK"
    assert "acknowledge it first" in refused(d, "reset")[1]
    assert d.do("ack") == "LACKED"
    assert d.do("reset") == "NORM"
    assert d.alarms.open() == []


def test_latched_and_acknowledged_before_it_clears(desk):
    """ACKED - LACKED: acknowledging early does not release the latch."""
    d = desk(latch=True)
    d.see((2, 75))
    d.do("ack")
    d.see((3, 60))
    assert d.state() == "LACKED"


def test_reset_without_latch_is_refused(desk):
    """There is nothing to reset on an alarm that does not latch."""
    d = desk()
    d.see((2, 75), (3, 60))
    assert "does not latch" in refused(d, "reset")[1]


def test_return_of_the_condition_is_a_new_occurrence(desk):
    """While RTNUN waits a new activation gets an id of its own and the old one stays with it."""
    d = desk()
    d.see((2, 75))
    first = d.occurrence().id
    d.see((3, 60), (4, 80))
    second = d.occurrence()
    assert second.id != first
    assert (second.number, second.onset_ns, second.earlier) == (2, 4 * S, [first])
    assert refused(d, "ack", first)[0] == "changed"
    assert d.do("ack") == "ACKED"
    assert d.events[-1].detail["earlier"] == [first]


def test_return_after_the_latch_was_acknowledged(desk):
    """LACKED and again active: a new occurrence that latches itself; the old one is over."""
    d = desk(latch=True)
    d.see((2, 75), (3, 60))
    d.do("ack")
    old = d.occurrence()
    d.see((4, 80))
    assert d.state() == "UNACK"
    assert d.occurrence().earlier == []
    assert d.occurrence().latched
    assert old.state() is State.NORM


def test_acknowledging_twice_is_refused(desk):
    """The first acknowledgement counts; the second changes neither name nor time."""
    d = desk()
    d.see((2, 75))
    d.do("ack")
    assert refused(d, "ack") == ("refused", "already acknowledged by ann")


@pytest.mark.parametrize("op", ["ack", "shelve", "unshelve", "reset"])
def test_unknown_occurrence_is_refused(desk, op):
    """An id that is over or never was is `unknown`, whatever is asked."""
    assert refused(desk(), op, "feed")[0] == "unknown"
    d = desk()
    d.see((2, 75), (3, 60))
    over = d.occurrence().id
    d.do("ack")
    assert refused(d, op, over)[0] == "unknown"


def test_unknown_action_is_refused(desk):
    """Only the four actions exist."""
    d = desk()
    d.see((2, 75))
    assert "unknown action 'dismiss'" in refused(d, "dismiss")[1]


def test_shelf_hides_and_gives_back(desk):
    """SHLVD while the condition goes on being judged; unshelved it is what it was before."""
    d = desk()
    d.see((2, 75))
    assert d.do("shelve", minutes=30, reason="probe is being changed", at_s=10) == "SHLVD"
    assert d.alarms.due_ns() == (10 + 1800) * S
    assert d.do("unshelve", at_s=20) == "UNACK"
    assert d.alarms.due_ns() is None
    d.do("ack", at_s=21)
    d.do("shelve", minutes=1, reason="again", at_s=22)
    d.see((23, 60))
    assert d.state() == "SHLVD"
    assert d.do("unshelve", at_s=24) == "NORM"


def test_shelf_ends_by_itself_at_its_time(desk):
    """Expiry gives the alarm back, unacknowledged as before, at the time that was said."""
    d = desk()
    d.see((2, 75))
    d.do("shelve", minutes=1, reason="cleaning", at_s=10)
    assert d.tick(69.999) == []
    (event,) = d.tick(500)
    assert (event.type, event.t_last) == ("alarm_unshelved", 70 * S)
    assert event.detail["reason"] == "time is over"
    assert d.state() == "UNACK"
    assert d.tick(501) == []


def test_new_occurrence_stays_on_the_shelf(desk):
    """What comes again inside a shelf is shelved with it, until the same moment."""
    d = desk()
    d.see((2, 75))
    d.do("shelve", minutes=1, reason="cleaning", at_s=10)
    d.see((20, 60), (30, 75))
    occurrence = d.occurrence()
    assert (d.state(), occurrence.number) == ("SHLVD", 2)
    assert (occurrence.shelved_by, occurrence.shelved_reason) == ("ann", "cleaning")
    d.tick(70)
    assert d.state() == "UNACK"


@pytest.mark.parametrize(
    ("minutes", "reason", "why"),
    [
        (60, "  ", "needs a reason"),
        (0, "cleaning", "within 8 hours"),
        (-5, "cleaning", "within 8 hours"),
        (MAX_SHELVE_S / 60 + 1, "cleaning", "within 8 hours"),
        ("soon", "cleaning", "not a number"),
        (None, "cleaning", "not a number"),
        (float("nan"), "cleaning", "not a number"),
        (float("inf"), "cleaning", "not a number"),
    ],
)
def test_shelf_needs_a_reason_and_an_end(desk, minutes, reason, why):
    """Every shelf has a reason and ends within a shift."""
    d = desk()
    d.see((2, 75))
    assert why in refused(d, "shelve", minutes=minutes, reason=reason)[1]


def test_longest_shelf_is_allowed(desk):
    """Exactly eight hours is within eight hours."""
    d = desk()
    d.see((2, 75))
    assert d.do("shelve", minutes=MAX_SHELVE_S / 60, reason="shift") == "SHLVD"


def test_safety_alarm_of_first_priority_cannot_be_shelved(desk):
    """People are not shelved."""
    d = desk(priority="P1", alarm_class="safety")
    d.see((2, 75))
    assert "safety" in refused(d, "shelve", minutes=5, reason="noise")[1]


def test_comment_is_bounded(desk):
    """A novel is cut, not stored."""
    d = desk()
    d.see((2, 75))
    d.do("ack", comment="x" * 5000)
    assert len(d.occurrence().comment) == 1000


def test_what_the_event_says(desk):
    """An event names alarm, occurrence, priority, state, title, onset, limit and value."""
    d = desk(title="Too hot", priority="P2", on_delay_s=1)
    (event,) = d.see((2, 75), (3, 76))
    assert (event.type, event.rule, event.ruleset) == ("alarm", "above", "alarm:hot")
    assert (event.sensor, event.value, event.t_first, event.t_last) == ("s/k0", 76, 2 * S, 3 * S)
    assert event.detail == {
        "alarm": "hot",
        "occurrence": d.occurrence().id,
        "priority": "P2",
        "state": "UNACK",
        "title": "Too hot",
        "onset": "1970-01-01T00:00:02.000000Z",
        "limit": 70.0,
    }


def test_ids_come_from_content(desk):
    """Two runs over the same data and actions give the same ids, and none of them twice."""

    def run():
        d = desk()
        d.see((2, 75), (3, 60), (4, 75))
        d.do("ack", at_s=5)
        d.see((6, 60), (7, 75))
        return [event.id for event in d.events]

    ids = run()
    assert ids == run()
    assert len(set(ids)) == len(ids) == 6


def test_order_of_derived_states():
    """The first name that fits is shown: the shelf before the condition, the latch before the ack."""
    names = [
        ({"shelved_until_ns": 1}, State.SHLVD),
        ({"shelved_until_ns": 1, "acked_ns": 1, "active": False}, State.SHLVD),
        ({}, State.UNACK),
        ({"latched": True}, State.UNACK),
        ({"acked_ns": 1}, State.ACKED),
        ({"active": False, "latched": True}, State.LUNACK),
        ({"active": False, "latched": True, "acked_ns": 1}, State.LACKED),
        ({"active": False}, State.RTNUN),
        ({"active": False, "acked_ns": 1}, State.NORM),
    ]
    for fields, state in names:
        occurrence = Occurrence(
            id="", alarm="a", sensor="s/k", number=1, onset_ns=0, raised_ns=0, **fields
        )
        assert occurrence.state() is state
        assert occurrence.over() is (state is State.NORM)
