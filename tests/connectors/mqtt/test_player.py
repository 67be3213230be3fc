"""The player against our own listener and a real broker."""

import asyncio

import pytest

from connectors.mqtt.player import play
from twin.errors import SourceError
from twin.model.line import Device


def rows(n, step_s=0.0):
    return [(i * step_s, f"t/{i % 7}", b"%d" % i) for i in range(n)]


@pytest.mark.parametrize("qos", [0, 1])
async def test_everything_arrives_in_order(listener, intake, qos):
    """All messages arrive once, in order, and are counted."""
    seen = []
    stats = await play(
        rows(20_000), "127.0.0.1", listener.port, speed=None, qos=qos, progress=seen.append
    )
    await intake.until(lambda: len(intake.payloads) == 20_000)
    assert intake.payloads == [p for _, _, p in rows(20_000)]
    assert (stats.sent, stats.acknowledged) == (20_000, 20_000 * qos)
    assert seen == sorted(seen)
    assert seen[-1] == 20_000


async def test_receive_maximum_is_kept(serve, intake):
    """Never more messages are in flight than the other side allows."""
    async with serve(intake, receive_maximum=7) as listener:
        stats = await play(rows(1000), "127.0.0.1", listener.port, speed=None)
        assert stats.acknowledged == 1000
        assert "malformed" not in listener.stats()


async def test_speed(listener, intake):
    """Messages leave at their offset divided by the speed, not earlier."""
    stats = await play(rows(11, 1.0), "127.0.0.1", listener.port, speed=50.0)
    assert stats.seconds >= 10 / 50


async def test_refusals_are_told(serve, intake, tmp_path, free_port):
    """A refused connection, a refused message and an absent broker are errors in words."""
    (tmp_path / "pw").write_text("pw")
    device = Device(user="gw", password_file="pw", publish=["ok/#"])
    async with serve(intake, tmp_path, device=[device], anonymous=False) as listener:
        for kw, words in [
            ({}, "not authorized"),
            ({"user": "gw", "password": "no"}, "bad user name or password"),
            ({"user": "gw", "password": "pw"}, "a message was refused: not authorized"),
        ]:
            with pytest.raises(SourceError, match=words):
                await play(rows(3), "127.0.0.1", listener.port, speed=None, **kw)
    with pytest.raises(SourceError, match="cannot be reached"):
        await play(rows(3), "127.0.0.1", free_port, speed=None)


async def test_lost_connection_is_an_error(intake, serve):
    """A connection that ends before the last acknowledgement is an error, not a success."""
    intake.hold = True
    async with serve(intake) as listener:
        job = asyncio.create_task(play(rows(10), "127.0.0.1", listener.port, speed=None))
        await intake.until(lambda: len(intake.payloads) == 10)
    with pytest.raises(SourceError, match="shutting down"):
        await job


@pytest.mark.peer
async def test_mosquitto_takes_it(mosquitto):
    """A real broker acknowledges everything the player sends."""
    stats = await play(rows(5000), "127.0.0.1", mosquitto.port, speed=None)
    assert stats.acknowledged == 5000
