"""The simulated line: deterministic, in order, plausible, and wrong only on purpose."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.simulator import Fault, Script, Simulator, Truth
from connectors.simulator.script import FaultKind
from twin.config import load, parse, report
from twin.detectors import Validity
from twin.engine.detection import Detection
from twin.model.batch import Batch
from twin.model.line import Priority, Series
from twin.products import Products

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from twin.model.event import Event
    from twin.model.index import LineIndex

T0 = 1_763_720_000_000_000_000
S = 1_000_000_000
Message = tuple[int, str, bytes]


class Played(list[Message]):
    """Messages in order, which also know the payloads of each topic."""

    @cached_property
    def by_topic(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for _, topic, payload in self:
            found[topic].append(msgspec.json.decode(payload))
        return found


def play(index: LineIndex, seconds: float, *faults: Fault, seed: int = 1) -> Played:
    """Everything the line sends from T0 on."""
    simulator = Simulator(index, seed, T0, Script(fault=list(faults)))
    return Played(simulator.step(T0 + round(seconds * S)))


def values(index: LineIndex, sensor: str, messages: Played) -> np.ndarray:
    """Values of a sensor."""
    found = messages.by_topic[index.by_id[sensor].spec.topic]
    return np.array([payload["v"] for payload in found])


def times(index: LineIndex, sensor: str, messages: Played) -> np.ndarray:
    """Event times of a sensor in seconds after T0."""
    found = messages.by_topic[index.by_id[sensor].spec.topic]
    return (np.array([payload["ts"] for payload in found]) - T0 // 1_000_000) / 1000


def batch(index: LineIndex, messages: Sequence[Message]) -> Batch:
    """All readings as one batch."""
    sensor = {row.spec.topic: row.index for row in index.sensors}
    known = [(sensor[name], t, payload) for t, name, payload in messages if name in sensor]
    return Batch.of(
        [s for s, _, _ in known],
        [t for _, t, _ in known],
        [msgspec.json.decode(payload)["v"] for _, _, payload in known],
    )


# -- the example line -------------------------------------------------------------------------


def test_the_pilot_line_is_described_without_a_warning(pilot: LineIndex) -> None:
    """The shipped line is valid, marked as simulated, and its report has nothing to say against."""
    assert pilot.line.line.simulated
    assert report(pilot)["warnings"] == []
    assert len(pilot.channels) == 32
    assert {row.spec.control for row in pilot.sensors} >= pilot.control.keys()


def test_every_alarm_of_the_pilot_line_says_what_to_do(pilot: LineIndex) -> None:
    """All alarms are rationalised, no two are the same, and few of them are urgent."""
    alarms = pilot.line.alarm
    for alarm in alarms:
        assert all((alarm.title, alarm.cause, alarm.consequence, alarm.action, alarm.owner))
        assert alarm.respond_s > alarm.on_delay_s
    assert len({(alarm.cause, alarm.action) for alarm in alarms}) == len(alarms)
    priorities = [alarm.priority for alarm in alarms]
    assert [a.id for a in alarms if a.priority is Priority.P1] == ["h2s-evacuate"]
    assert next(a for a in alarms if a.id == "h2s-evacuate").latch
    assert priorities.count(Priority.P2) < priorities.count(Priority.P3)


# -- determinism ------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes(pilot: LineIndex) -> None:
    """Two runs with one seed are equal, another seed gives other values."""
    first, second, other = play(pilot, 20), play(pilot, 20), play(pilot, 20, seed=2)
    assert first == second
    assert first != other


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, 30 * S), max_size=12))
def test_the_way_time_is_cut_changes_nothing(pilot: LineIndex, cuts: list[int]) -> None:
    """Steps of any size give the same messages in the same order."""
    simulator = Simulator(pilot, 1, T0, None)
    found: list[Message] = []
    for cut in [*sorted(cuts), 30 * S]:
        found += simulator.step(T0 + cut)
    assert found == play(pilot, 30)


def test_messages_left_in_the_iterator_come_next(pilot: LineIndex) -> None:
    """Who stops reading in the middle of a step misses nothing."""
    simulator = Simulator(pilot, 1, T0, None)
    iterator = simulator.step(T0 + 5 * S)
    found = [next(iterator) for _ in range(7)]
    found += simulator.step(T0 + 5 * S)
    assert found == play(pilot, 5)


def test_another_sensor_changes_no_value(pilot: LineIndex, root: Path) -> None:
    """A sensor added to the description leaves every other message as it was."""
    text = (root / "examples/pilot-line/line.toml").read_text()
    extra = (
        '[[station.sensor]]\nkey = "oil_pressure"\nunit = "bar"\nperiod_s = 2\nrange = [0, 10]\n\n'
    )
    place = text.index('[[station.sensor]]\nkey = "density"')
    files = {**pilot.files, "line.toml": text[:place] + extra + text[place:]}
    more = parse(files)
    sensor = "calender/thickness_l1"
    assert values(more, sensor, play(more, 60)).tolist() == (
        values(pilot, sensor, play(pilot, 60)).tolist()
    )
    added = values(more, "calender/oil_pressure", play(more, 60))
    assert len(added) == 30
    assert added.mean() == pytest.approx(5.0, abs=0.5)


def test_messages_come_in_order_of_event_time_and_count_on(pilot: LineIndex) -> None:
    """Event times never go back, and the sequence number of a station has no hole."""
    messages = play(pilot, 60)
    assert [t for t, _, _ in messages] == sorted(t for t, _, _ in messages)
    by_station: dict[str, list[int]] = defaultdict(list)
    for time_ns, topic, payload in messages:
        said = msgspec.json.decode(payload)
        assert said["ts"] * 1_000_000 == time_ns
        if "seq" in said:
            by_station[topic.rsplit("/", 1)[0]].append(said["seq"])
    assert all(seq == list(range(len(seq))) for seq in by_station.values())
    assert 50 <= len(messages) / 60 <= 200


# -- plausibility -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calm(pilot: LineIndex) -> Played:
    """Twenty-five minutes in control."""
    return play(pilot, 1500, seed=11)


def test_every_sensor_of_the_pilot_line_speaks(pilot: LineIndex, calm: Played) -> None:
    """Within the time no sensor is silent, and every value is inside its physical range."""
    for row in pilot.sensors:
        found = values(pilot, row.id, calm)
        assert len(found), row.id
        low, high = row.spec.range or (-np.inf, np.inf)
        assert low <= found.min() <= found.max() <= high, row.id


def test_values_have_the_frozen_centre_and_sigma(pilot: LineIndex, calm: Played) -> None:
    """What the baselines of the line take as in control is what the simulator does."""
    compared = 0
    for sensor, records in pilot.baselines.items():
        chart = pilot.by_id[sensor].spec.chart
        found = values(pilot, sensor, calm)
        (record,) = records
        if chart is None or chart.set_point or len(found) < 10:
            continue
        if record.tests.get("level_is") == "follows the signal":
            continue
        level = record.level if record.series is Series.RESIDUAL else record.centre
        compared += 1
        assert found.mean() == pytest.approx(level, abs=4 * record.sigma), sensor
        if record.series is Series.RAW:
            assert 0.4 * record.sigma < found.std() < 1.8 * record.sigma, sensor
    assert compared > 15


def test_a_line_in_control_cries_no_wolf(pilot: LineIndex, calm: Played) -> None:
    """A time without faults gives no validity event and next to no finding."""
    rows = batch(pilot, calm)
    assert [e for e in Validity(pilot).update(rows) if e.type == "validity"] == []
    findings = [e for e in Detection(pilot).update(rows)[1] if e.type == "finding"]
    assert findings == []  # one in ten hours is expected


def test_thickness_follows_the_load(pilot: LineIndex) -> None:
    """10 % less line load makes the coating about 2 um thicker and 2 points more porous."""
    drop = Fault(at_s=60, for_s=60, kind="load_drop", target="calender/line_load", size=0.1)
    messages = play(pilot, 120, drop)
    for sensor, step in (
        ("calender/line_load", -30.0),
        ("calender/thickness_l2", 1.965),
        ("calender/porosity", 1.959),
    ):
        found, when = values(pilot, sensor, messages), times(pilot, sensor, messages)
        change = found[when > 65].mean() - found[when < 60].mean()
        assert change == pytest.approx(step, abs=abs(step) * 0.15), sensor


def test_the_counter_agrees_with_the_speed(pilot: LineIndex) -> None:
    """Five metres per minute for ten minutes are fifty metres, and the counter never goes back."""
    metres = values(pilot, "calender/web_position", play(pilot, 600))
    assert (np.diff(metres) > 0).all()
    assert metres[-1] - metres[0] == pytest.approx(50.0, abs=0.2)


def test_formation_charges_and_discharges(pilot: LineIndex, calm: Played) -> None:
    """Channels are at different steps; charging raises the voltage, discharging lowers it."""
    slopes: dict[int, list[float]] = defaultdict(list)
    for channel in pilot.channels:
        volts = values(pilot, channel.voltage, calm)
        steps = values(pilot, channel.step, calm).astype(int)
        amps = values(pilot, channel.current, calm)
        assert np.abs(amps[np.isin(steps, (0, 1, 4, 6))][2:]).max(initial=0) < 2.0
        for step in (2, 5):
            same = (steps[1:] == step) & (steps[:-1] == step)
            slopes[step] += np.diff(volts)[same].tolist()
    assert np.mean(slopes[2]) > 0 > np.mean(slopes[5])


def test_products_are_announced_and_found_at_their_place(pilot: LineIndex, calm: Played) -> None:
    """All product messages are accepted, and thickness rows belong to a coil at a metre."""
    products = Products(pilot)
    waiting: list[Message] = []
    joined: list[Batch] = []
    for seq, (time_ns, topic, payload) in enumerate(calm):
        if not topic.endswith("/product"):
            waiting.append((time_ns, topic, payload))
            continue
        joined.append(batch(pilot, waiting))
        products.join(joined[-1])
        waiting = []
        products.handle(msgspec.json.decode(payload), time_ns, seq)
    gauge = pilot.by_id["calender/thickness_l1"].index
    place = np.concatenate([b.place[b.sensor == gauge] for b in joined])
    product = np.concatenate([b.product[b.sensor == gauge] for b in joined])
    assert (product >= 0).all()
    assert place[5:].min() >= -1.9
    assert place[5:].max() == pytest.approx(25.0 - 1.8, abs=0.2)
    table = {entry["id"]: entry for entry in products.table()}
    kinds = {entry["kind"] for entry in table.values()}
    assert kinds == {
        *("mix_batch", "coated_coil", "calendered_coil", "se_film_coil", "sheet", "stack", "cell"),
    }
    coil = next(
        e for e in reversed(table.values()) if e["kind"] == "calendered_coil" and e["t_end"]
    )
    assert coil["length"] == pytest.approx(25.0, abs=0.1)
    assert table[coil["parents"][0]]["kind"] == "coated_coil"
    assert sum(entry["state"] == "working" for entry in table.values()) < 50


# -- faults -----------------------------------------------------------------------------------


def judged(index: LineIndex, messages: Sequence[Message]) -> list[Event]:
    """What validity, charts and the other detectors say."""
    said, found = Detection(index).update(batch(index, messages))
    return said + found


def test_truth_is_what_has_happened(pilot: LineIndex) -> None:
    """The list of injected faults grows with simulated time."""
    fault = Fault(at_s=10, for_s=5, kind="offset", target="mixing/temperature", size=3)
    simulator = Simulator(pilot, 1, T0, Script(fault=[fault]))
    list(simulator.step(T0 + 8 * S))
    assert simulator.truth() == []
    list(simulator.step(T0 + 12 * S))
    expected = Truth(FaultKind.OFFSET, "mixing/temperature", 3.0, T0 + 10 * S, T0 + 15 * S)
    assert simulator.truth() == [expected]


@pytest.mark.parametrize(
    ("fault", "sensor", "rule"),
    [
        (
            Fault(at_s=60, for_s=40, kind="load_drop", target="calender/line_load", size=0.1),
            "calender/line_load",
            "cusum",
        ),
        (
            Fault(
                at_s=60, for_s=60, kind="frost_excursion", target="dryroom/frost_point_z2", size=15
            ),
            "dryroom/frost_point_z2_b",
            "rule1",
        ),
        (
            Fault(at_s=60, for_s=60, kind="stuck", target="dryroom/frost_point_z1"),
            "dryroom/frost_point_z1",
            "stuck",
        ),
        (
            Fault(at_s=60, kind="spike", target="calender/thickness_l2", size=12),
            "calender/thickness_l2",
            "spike",
        ),
        (
            Fault(at_s=60, for_s=60, kind="mass_shift", target="coating/areal_mass", size=0.02),
            "coating/areal_mass",
            "rule1",
        ),
        (
            Fault(at_s=60, for_s=900, kind="skew", target="calender/line_load_skew", size=4),
            "calender/line_load_skew",
            "rule1",
        ),
        (
            Fault(at_s=60, for_s=60, kind="tension_drop", target="calender/web_tension", size=0.2),
            "calender/web_tension",
            "rule1",
        ),
        (
            Fault(at_s=10, for_s=400, kind="drift", target="se_film/line_tension", size=60),
            "se_film/line_tension",
            "rule1",
        ),
    ],
)
def test_a_fault_is_found_where_it_was_put(
    pilot: LineIndex, fault: Fault, sensor: str, rule: str
) -> None:
    """Every process and sensor fault is seen by the detector that is there for it."""
    found = [
        e
        for e in judged(pilot, play(pilot, fault.at_s + max(120, 1.5 * (fault.for_s or 0)), fault))
        if e.type in ("finding", "validity") and (e.sensor, e.rule) == (sensor, rule)
    ]
    assert found
    assert (found[0].t_last - T0) / S >= fault.at_s


def test_gas_and_heat_stay_in_their_zone_and_rack(pilot: LineIndex) -> None:
    """A release and a hot rack are seen there and nowhere else."""
    gas = Fault(at_s=30, for_s=60, kind="h2s_release", target="dryroom/h2s_z2", size=2)
    rack = "formation/air_temperature_r2"
    heat = Fault(at_s=0, for_s=90, kind="hot_rack", target=rack, size=6)
    messages = play(pilot, 90, gas, heat)
    assert values(pilot, "dryroom/h2s_z2", messages).max() > 1.5
    assert values(pilot, "dryroom/h2s_z1", messages).max() < 0.2
    assert values(pilot, rack, messages)[-1] > 48.5
    assert values(pilot, "formation/air_temperature_r1", messages)[-1] < 46
    assert values(pilot, "formation/r2c01_temperature", messages)[-1] > 48


def test_faults_on_the_way_touch_messages_only(pilot: LineIndex) -> None:
    """Gaps leave holes in the numbering, duplicates repeat it, half a payload is no JSON."""
    target = "mixing/stirrer_speed"
    topic = pilot.by_id[target].spec.topic
    clean = [m for m in play(pilot, 30) if m[1] == topic]
    gap = [m for m in play(pilot, 30, _fault("gap", target, 10)) if m[1] == topic]
    twice = [m for m in play(pilot, 30, _fault("duplicate", target, 10)) if m[1] == topic]
    half = [m for m in play(pilot, 30, _fault("bad_payload", target, 0)) if m[1] == topic]
    unit = [m for m in play(pilot, 30, _fault("wrong_unit", target, 0)) if m[1] == topic]
    assert [m for m in clean if not 10 <= (m[0] - T0) / S < 20] == gap
    assert len(twice) == len(clean) + 10
    assert sorted(set(twice)) == clean
    wrong = [i for i, (a, b) in enumerate(zip(clean, half, strict=True)) if a != b]
    assert len(wrong) == 1
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(half[wrong[0]][2])
    assert [msgspec.json.decode(m[2])["u"] for m in unit].count("{wrong}") == 1


def _fault(kind: str, target: str, for_s: float) -> Fault:
    return Fault(at_s=10, for_s=for_s, kind=kind, target=target)


def test_a_line_without_the_pilot_stations_is_simulated_too(root: Path) -> None:
    """Sensors of any line wander around the centre of their charts."""
    index = load(root / "examples/bench/line.toml")
    found = values(index, "calender/s7", play(index, 120))
    assert len(found) == 120
    assert found.mean() == pytest.approx(50, abs=1.5)
