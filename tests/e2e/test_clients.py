"""Devices of many makes reach a running line; what is wrong is said, what is new is proposed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import T0, publish, sample, topic, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Line

pytestmark = [pytest.mark.peer, pytest.mark.slow]


def mosquitto_pub(port: int, name: str, payload: bytes, version: str, qos: int) -> None:
    """Publish with the tool of mosquitto."""
    program = shutil.which("mosquitto_pub")
    if program is None:
        pytest.skip("mosquitto_pub is not installed")
    words = [program, "-h", "127.0.0.1", "-p", str(port), "-V", version, "-q", str(qos)]
    subprocess.run([*words, "-t", name, "-m", payload], check=True, timeout=30)


async def gmqtt_publish(port: int, name: str, payload: bytes) -> None:
    """Publish with gmqtt (MQTT 5, QoS 1) and wait for the PUBACK."""
    gmqtt = pytest.importorskip("gmqtt")
    client = gmqtt.Client("gmqtt-device")
    await client.connect("127.0.0.1", port, version=5)
    client.publish(name, payload, qos=1)
    async with asyncio.timeout(30):
        await client._persistent_storage.wait_empty()
        await client.disconnect()


def test_every_client_is_understood(lines: Callable[..., Line]) -> None:
    """mosquitto_pub (both versions, every QoS), paho and gmqtt feed the board and the history."""
    line = lines().start()
    number = 0
    for version in ("mqttv311", "mqttv5"):
        for qos in (0, 1, 2):
            number += 1
            mosquitto_pub(line.mqtt, topic(f"p{number}"), sample(0, number), version, qos)
    publish(line.mqtt, [(topic("p7"), sample(0, 7)), (topic("p7"), sample(1, 7.5))], qos=2)
    asyncio.run(gmqtt_publish(line.mqtt, topic("p8"), sample(0, 8)))
    ledger = line.settled(9)
    assert (ledger["stored"], ledger["rejected"]) == (9, {})
    tiles = {t["sensor"]: t for t in line.get("overview")["stations"][0]["tiles"]}
    values = [tiles[f"press/p{n}"]["value"] for n in range(1, 9)]
    assert values == [1, 2, 3, 4, 5, 6, 7.5, 8]
    assert tiles["press/p1"]["unit"] == "um"
    shown = line.get("sensors/press/p7")
    assert shown["samples"] == 2
    series = line.get("series/press/p7")
    assert series["t"] == [T0, T0 + 1]
    assert series["mean"] == [7, 7.5]
    assert line.stop() == 0


@pytest.mark.parametrize(
    ("payload", "reason", "hint"),
    [
        (sample(0, 700), "RANGE", "check the unit and the wiring"),
        (sample(0, 3, unit="V"), "UNIT", "kN"),
        (b'{"ts": 1, "value": ', "DECODE", ""),
        (b'{"ts": "yesterday", "value": 3}', "SCHEMA", "ISO 8601"),
        (b'{"ts": 1700000000, "wert": 3}', "SCHEMA", "value"),
    ],
    ids=["range", "unit", "json", "time", "key"],
)
def test_wrong_payload_says_how_to_mend_it(
    refusing: Line, payload: bytes, reason: str, hint: str
) -> None:
    """A refused payload is listed with topic, payload, reason and a way out."""
    before = refusing.ledger()["received"]
    publish(refusing.mqtt, [(topic("force"), payload)])
    refusing.settled(before + 1)

    def letter() -> dict[str, Any] | None:
        found = refusing.get("dead-letters")
        return next((x for x in found if x["payload"] == payload.decode()), None)

    found = until(letter, "the dead letter")
    assert found["reason"] == reason
    assert found["topic"] == topic("force")
    assert hint in found["detail"]
    assert len(found["detail"]) > 20


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One line for all wrong payloads."""
    from tests.e2e.conftest import SMALL, Line

    line = Line(tmp_path_factory.mktemp("refusing"), SMALL).start()
    yield line
    line.kill()


def changed(line: Line, version: str) -> bool:
    """Whether another version of the line is in force."""
    return bool(line.get("overview")["line"]["version"] != version)


def test_unknown_topic_becomes_a_sensor(lines: Callable[..., Line]) -> None:
    """The proposal, pasted and reloaded (board or SIGHUP), makes the next value count."""
    line = lines().start()
    assert line.process is not None
    for how, name in (("board", "plant/press/nip"), ("hangup", "plant/press/speed")):
        before = line.ledger()
        payload = {"ts": T0, "value": 2.5, "unit": "m/min" if how == "hangup" else "um"}
        publish(line.mqtt, [(name, json.dumps(payload).encode())])
        refused = line.settled(before["received"] + 1)["rejected"]["UNKNOWN_TAG"]
        assert refused == before["rejected"].get("UNKNOWN_TAG", 0) + 1
        row = next(x for x in line.get("discovery") if x["topic"] == name)
        assert (row["count"], json.loads(row["example"])) == (1, payload)
        line.file.write_text(line.file.read_text("utf-8") + "\n" + row["proposal"], "utf-8")
        version = line.get("overview")["line"]["version"]
        if how == "board":
            answer = line.post("reload")
            assert (answer.status_code, answer.json()["changed"]) == (200, True), answer.text
        else:
            os.kill(line.process.popen.pid, signal.SIGHUP)
        until(partial(changed, line, version), "the new version")
        publish(line.mqtt, [(name, json.dumps({**payload, "ts": T0 + 1}).encode())])
        line.settled(before["received"] + 2)
        tile = line.tile("press/" + name.rpartition("/")[2])
        assert (tile["value"], tile["unit"]) == (2.5, payload["unit"])
        assert all(x["topic"] != name for x in line.get("discovery"))
    assert line.ledger()["stored"] == 2
