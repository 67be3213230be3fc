"""The sending half of the Sparkplug host: STATE, rebirth requests, and when they leave."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

import connectors.sparkplug
from connectors.sparkplug import HostPublisher, SparkplugHostSettings, rebirth_command
from connectors.sparkplug.host import state_message
from twin.ingest.sparkplug import SparkplugHost
from twin.ingest.sparkplug_encode import encode
from twin.ingest.sparkplug_wire import DataType, Metric, Payload, decode

FOLDER = Path(connectors.sparkplug.__file__).parent
S, MS = 1_000_000_000, 1_000_000
NODE = ("plant", "gw1")


class Wire:
    """Collects what is published."""

    def __init__(self):
        self.sent = []

    async def __call__(self, topic, payload, qos, retain):
        self.sent.append((topic, payload, qos, retain))

    def states(self):
        """Published STATE payloads."""
        return [json.loads(payload) for topic, payload, *_ in self.sent if "/STATE/" in topic]

    def commands(self):
        """Topics of published commands."""
        return [topic for topic, *_ in self.sent if "/NCMD/" in topic]


@pytest.fixture
def wire():
    """A wire nothing was sent over yet."""
    return Wire()


@pytest.fixture
def host(wire):
    """A publisher that is not connected yet."""
    return HostPublisher(SparkplugHostSettings(), wire)


async def test_birth_and_will_of_a_session_carry_the_same_time(host, wire):
    """The will is offline, the birth online, both retained with QoS 1 and one timestamp."""
    will = host.will(7 * S)
    await host.online(8 * S)

    assert json.loads(will.payload) == {"online": False, "timestamp": 7000}
    assert wire.states() == [{"online": True, "timestamp": 7000}]
    assert (will.topic, will.qos, will.retain) == ("spBv1.0/STATE/linetwin", 1, True)
    assert wire.sent[0][2:] == (1, True)


async def test_a_planned_end_is_announced_once(host, wire):
    """Going offline on purpose publishes the death; a lost connection leaves that to the will."""
    host.will(S)
    await host.online(S)
    await host.offline(5 * S)
    await host.offline(6 * S)
    assert wire.states()[1:] == [{"online": False, "timestamp": 5000}]

    host.will(7 * S)
    await host.online(7 * S)
    host.lost()
    await host.offline(8 * S)
    assert len(wire.states()) == 3


async def test_a_false_death_notice_is_put_right(host, wire):
    """Only an offline STATE with our own name while we are online is answered."""
    host.will(S)
    await host.on_state("linetwin", online=False)
    assert wire.sent == []
    await host.online(S)
    for name, online in (("other", False), ("linetwin", True)):
        await host.on_state(name, online=online)
    assert len(wire.sent) == 1
    await host.on_state("linetwin", online=False)
    assert wire.states()[1] == {"online": True, "timestamp": 1000}


async def test_a_rebirth_command_is_what_nodes_expect(host, wire):
    """Boolean true named Node Control/Rebirth, QoS 0, not retained, no sequence number."""
    metric = Metric(
        name="Node Control/Rebirth",
        timestamp=1234,
        datatype=int(DataType.BOOLEAN),
        kind=14,
        value=True,
    )
    message = rebirth_command(*NODE, 1234)
    assert message.topic == "spBv1.0/plant/NCMD/gw1"
    assert decode(message.payload) == Payload(timestamp=1234, seq=None, metrics=[metric])

    host.will(0)
    await host.online(0)
    await host.rebirth([NODE], 1234 * MS, 1234 * MS)
    assert wire.sent[1] == (message.topic, message.payload, 0, False)


async def test_requests_of_the_past_are_not_sent(host, wire):
    """Reading an old journal again commands nobody."""
    host.will(0)
    await host.online(0)

    assert await host.rebirth([NODE], asked_ns=0, now_ns=11 * S) == []
    assert await host.rebirth([NODE], asked_ns=0, now_ns=10 * S) == [NODE]
    assert wire.commands() == ["spBv1.0/plant/NCMD/gw1"]


async def test_requests_without_a_connection_wait_for_it(host, wire):
    """What is asked while offline leaves after the birth, once per node, unless too old by then."""
    old, young = ("plant", "old"), ("plant", "young")
    await host.rebirth([old], 0, 0)
    await host.rebirth([young], 5 * S, 5 * S)
    await host.rebirth([young], 6 * S, 6 * S)
    assert wire.sent == []

    host.will(12 * S)
    await host.online(12 * S)
    assert [topic for topic, *_ in wire.sent] == [
        "spBv1.0/STATE/linetwin",
        "spBv1.0/plant/NCMD/young",
    ]


async def test_both_halves_together(host, wire):
    """A gap seen by the receiving half becomes exactly one command of the sending half."""
    settings = SparkplugHostSettings(reorder_timeout_s=1)
    receiving = SparkplugHost(settings.receiving())
    host.will(0)
    await host.online(0)
    metric = Metric(name="x", alias=1, timestamp=1, datatype=10, value=0.0)
    data = [Metric(alias=1, timestamp=2, value=1.0)]
    outcomes = [
        receiving.handle(f"spBv1.0/plant/{kind}/gw1", encode(payload), at * S)
        for kind, payload, at in (
            ("NBIRTH", Payload(timestamp=1, seq=0, metrics=[metric]), 1),
            ("NDATA", Payload(timestamp=2, seq=2, metrics=data), 2),
            ("NDATA", Payload(timestamp=2, seq=3, metrics=data), 4),
            ("NDATA", Payload(timestamp=2, seq=4, metrics=data), 5),
        )
    ]
    for at, outcome in zip((1, 2, 4, 5), outcomes, strict=True):
        await host.rebirth(outcome.rebirth, at * S, at * S)

    assert wire.commands() == ["spBv1.0/plant/NCMD/gw1"]


def test_our_own_state_can_be_read():
    """The receiving half understands what the sending half says about itself."""
    message = state_message("linetwin", online=True, timestamp_ms=9)

    assert SparkplugHost().handle(message.topic, message.payload, 0).state == ("linetwin", True, 9)


# -- settings ------------------------------------------------------------------------------------


def test_the_sample_holds_exactly_the_defaults():
    """Every setting stands in the sample with its default, under a full sentence."""
    text = (FOLDER / "sample.toml").read_text()
    given = tomllib.loads(text)["sparkplug"]
    every = tomllib.loads(
        "\n".join(line.removeprefix("# ") if "=" in line else line for line in text.splitlines())
    )["sparkplug"]

    assert SparkplugHostSettings(**given) == SparkplugHostSettings()
    assert every == SparkplugHostSettings().model_dump()
    sentences = [line for line in text.splitlines() if line.startswith("# ") and "=" not in line]
    assert len(sentences) == len(every)
    assert all(line.endswith(".") for line in sentences)


def test_the_readme_shows_the_sample_and_the_guarantee():
    """The page cannot drift away from the file it shows."""
    readme = (FOLDER / "README.md").read_text()

    assert (FOLDER / "sample.toml").read_text() in readme
    assert "QoS 0" in readme
    assert "proven or disproven" in readme


@pytest.mark.parametrize(
    "wrong",
    [
        {"host_id": "a/b"},
        {"host_id": ""},
        {"groups": ["+"]},
        {"reorder_timeout_s": -1},
        {"rebirth_interval_s": 0},
        {"max_metrics": 0},
        {"unknown": 1},
    ],
)
def test_wrong_settings_are_refused(wrong):
    """Ids with topic characters, impossible times and unknown keys do not pass."""
    with pytest.raises(ValidationError):
        SparkplugHostSettings(**wrong)


def test_subscriptions_name_the_state_first():
    """Its own STATE comes before the data, and groups narrow the data."""
    state = ("spBv1.0/STATE/linetwin", 1)

    assert SparkplugHostSettings().subscriptions() == [state, ("spBv1.0/#", 1)]
    narrow = SparkplugHostSettings(groups=["a", "b"]).subscriptions()
    assert narrow == [state, ("spBv1.0/a/#", 1), ("spBv1.0/b/#", 1)]
