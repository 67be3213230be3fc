"""A state machine against a simple model: whatever people and process do, in any order."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from twin.alarms.state import MAX_SHELVE_S, Refusal


@dataclass
class Model:
    """What a person who watches one alarm would write down."""

    latch: bool
    active: bool = False
    there: bool = False
    acked: bool = False
    latched: bool = False
    shelf_s: float = 0
    raised: int = 0
    waiting: list[str] = field(default_factory=list)
    """Ids that were never acknowledged and are not the present one."""

    def settle(self) -> None:
        if self.there and not (self.active or self.latched or self.shelf_s) and self.acked:
            self.there = False

    @property
    def name(self) -> str:
        if not self.there:
            return "NORM"
        if self.shelf_s:
            return "SHLVD"
        if self.active:
            return "ACKED" if self.acked else "UNACK"
        if self.latched:
            return "LACKED" if self.acked else "LUNACK"
        return "RTNUN"


class Watch(RuleBasedStateMachine):
    """One alarm above 70, deadband 5, no delays."""

    def __init__(self, desk, line, alarm) -> None:
        super().__init__()
        self.make, self.line, self.alarm = desk, line, alarm
        self.now = 1.0
        self.edges = 0

    @initialize(latch=st.booleans())
    def begin(self, latch):
        self.model = Model(latch)
        self.index = self.line([self.alarm(latch=latch, deadband=5.0)])
        self.desk = self.make(latch=latch, deadband=5.0)

    def step(self, seconds):
        """Time passes; a shelf may end."""
        self.now += seconds
        ended = self.desk.tick(self.now)
        model = self.model
        if model.shelf_s and model.shelf_s <= self.now:
            model.shelf_s = 0
            model.settle()
            self.edges += 1
            assert [event.type for event in ended] == ["alarm_unshelved"]
        else:
            assert ended == []

    @rule(value=st.sampled_from([50.0, 65.0, 65.1, 70.0, 70.1, 90.0]), seconds=st.integers(1, 900))
    def sample(self, value, seconds):
        self.step(seconds)
        model = self.model
        current = self.desk.occurrence().id if model.there else ""
        self.desk.see((self.now, value))
        if not model.active and value > 70:
            if model.there and not model.acked:
                model.waiting.append(current)
            elif model.there:
                model.waiting = []
            model.active = model.there = True
            model.acked, model.latched = False, model.latch
            model.raised += 1
            self.edges += 1
        elif model.active and value <= 65:
            model.active = False
            self.edges += 1
            model.settle()

    def attempt(self, op, allowed, occurrence=None, **more):
        """Act; refused exactly when the model says so, and then without a trace."""
        before = self.desk.alarms.snapshot()
        if allowed:
            self.desk.do(op, occurrence, self.now, **more)
            self.edges += 1
            return
        with pytest.raises(Refusal):
            self.desk.do(op, occurrence, self.now, **more)
        assert self.desk.alarms.snapshot() == before

    @precondition(lambda self: self.model.there)
    @rule()
    def acknowledge(self):
        model = self.model
        self.attempt("ack", not model.acked)
        if not model.acked:
            model.acked, model.waiting = True, []
        model.settle()

    @precondition(lambda self: self.model.waiting)
    @rule(pick=st.integers(0, 99))
    def acknowledge_what_was_on_the_screen(self, pick):
        wanted = self.model.waiting[pick % len(self.model.waiting)]
        with pytest.raises(Refusal) as caught:
            self.desk.do("ack", wanted, self.now)
        assert caught.value.code == "changed"

    @precondition(lambda self: not self.model.there)
    @rule(op=st.sampled_from(["ack", "reset", "shelve", "unshelve"]))
    def act_on_nothing(self, op):
        self.attempt(op, allowed=False, occurrence="feed", minutes=5, reason="x")

    @precondition(lambda self: self.model.there)
    @rule()
    def reset(self):
        model = self.model
        allowed = not model.active and model.latched and model.acked
        self.attempt("reset", allowed)
        if allowed:
            model.latched = False
        model.settle()

    @precondition(lambda self: self.model.there)
    @rule(
        minutes=st.sampled_from([-1, 0, 1, 10, 480, 481, 100000]), reason=st.sampled_from(["", "x"])
    )
    def shelve(self, minutes, reason):
        allowed = bool(reason) and 0 < minutes * 60 <= MAX_SHELVE_S
        self.attempt("shelve", allowed, minutes=minutes, reason=reason)
        if allowed:
            self.model.shelf_s = self.now + minutes * 60
            occurrence = self.desk.occurrence()
            assert occurrence.shelved_reason

    @precondition(lambda self: self.model.there)
    @rule()
    def unshelve(self):
        self.attempt("unshelve", allowed=bool(self.model.shelf_s))
        self.model.shelf_s = 0
        self.model.settle()

    @rule()
    def restart(self):
        self.desk = self.desk.again(self.index)

    @rule()
    def reload(self):
        alarms = type(self.desk.alarms)(self.index)
        assert alarms.follow(self.desk.alarms, round(self.now * 1e9)) == []
        self.desk.alarms = alarms

    @invariant()
    def shows_what_the_model_shows(self):
        """Active and not shelved is visible; latched goes only by reset; states have one name."""
        model = self.model
        assert self.desk.state() == model.name
        assert self.desk.alarms.raised == model.raised
        if model.there:
            occurrence = self.desk.occurrence()
            assert (occurrence.active, occurrence.latched) == (model.active, model.latched)
            assert bool(occurrence.acked_ns) == model.acked

    @invariant()
    def loses_nothing_unacknowledged(self):
        """Every occurrence nobody acknowledged is the present one or listed with it."""
        if self.model.there:
            assert self.desk.occurrence().earlier == self.model.waiting[-20:]
        else:
            assert not self.model.waiting

    @invariant()
    def shelf_always_ends(self):
        """Whatever is shelved ends within eight hours."""
        due = self.desk.alarms.due_ns()
        assert (due is None) == (not self.model.shelf_s)
        assert due is None or due <= (self.now + MAX_SHELVE_S) * 1e9 + 1

    @invariant()
    def tells_every_edge_once(self):
        """One event per edge, no id twice."""
        ids = [event.id for event in self.desk.events]
        assert len(ids) == self.edges
        assert len(set(ids)) == len(ids)


def test_alarm_follows_the_model(desk, line, alarm):
    """Samples, people, shelves, restarts and reloads in any order: the model is never surprised."""
    run_state_machine_as_test(
        lambda: Watch(desk, line, alarm), settings=settings(max_examples=80, stateful_step_count=40)
    )
