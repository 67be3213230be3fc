"""A fake journal whose commits the test releases, and peers over real sockets."""

import asyncio
import contextlib
import shutil
import socket
from collections import defaultdict
from pathlib import Path
from typing import ClassVar

import pytest

from connectors.mqtt.codec import Decoder, encode
from connectors.mqtt.listener import Listener
from connectors.mqtt.packets import V5, Connack, Connect, Pubacks, Publishes
from connectors.mqtt.player import play
from twin.clock import SystemClock
from twin.model import line
from twin.model.message import Kind


class FakeIntake:
    """Keeps what it gets; with ``hold`` nothing is durable before ``commit``."""

    def __init__(self, *, hold=False, room=True):
        self.hold, self.room = hold, room
        self.blocks, self.waiting, self.resumes = [], [], []
        self.ids = defaultdict(set)
        self.arrived = asyncio.Event()

    def put(self, block, on_durable=None):
        assert (
            len({len(block.topics), len(block.payloads), len(block.recv_ns), len(block.flags)}) == 1
        )
        assert len(block.qos2) in (0, len(block))
        self.blocks.append(block)
        self._wait(lambda: self.ids[block.source].update(i for i in block.qos2 if i), on_durable)
        return self.room

    def on_room(self, resume):
        self.resumes.append(resume)

    def qos2_ids(self, source):
        return set(self.ids[source])

    def release_qos2(self, source, packet_id, on_durable=None):
        self._wait(lambda: self.ids[source].discard(packet_id), on_durable)

    def _wait(self, apply, on_durable):
        self.waiting.append((apply, on_durable))
        self.arrived.set()
        if not self.hold:
            asyncio.get_running_loop().call_soon(self.commit)

    def commit(self, n=None):
        """Make the first ``n`` entries durable (all by default)."""
        n = len(self.waiting) if n is None else n
        ready, self.waiting = self.waiting[:n], self.waiting[n:]
        for apply, on_durable in ready:
            apply()
            if on_durable is not None:
                on_durable()

    def make_room(self):
        self.room = True
        resumes, self.resumes = self.resumes, []
        for resume in resumes:
            resume()

    def of(self, kind):
        return [
            row
            for b in self.blocks
            if b.kind is kind
            for row in zip(b.topics, b.payloads, b.flags, strict=True)
        ]

    @property
    def payloads(self):
        return [payload for _, payload, _ in self.of(Kind.MESSAGE)]

    async def until(self, done):
        """Wait until ``done()`` is true."""
        async with asyncio.timeout(20):
            while not done():
                self.arrived.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.arrived.wait(), 0.02)


class Raw:
    """A device that sends exactly what the test says."""

    made: ClassVar[list["Raw"]] = []

    def __init__(self, reader, writer, version):
        self.made.append(self)
        self.reader, self.writer, self.version = reader, writer, version
        self.decoder = Decoder(server=False, version=version, max_packet=1 << 20)
        self.ready = []

    @classmethod
    async def open(cls, port, version=V5):
        return cls(*await asyncio.open_connection("127.0.0.1", port), version)

    @classmethod
    async def connect(cls, port, client_id="dev", version=V5, **kw):
        """Connect and take the CONNACK."""
        raw = await cls.open(port, version)
        raw.send(Connect(client_id, version, **kw))
        raw.connack = await raw.get()
        assert isinstance(raw.connack, Connack), raw.connack
        return raw

    def send(self, *packets):
        self.writer.write(
            b"".join(p if isinstance(p, bytes) else encode(p, self.version) for p in packets)
        )

    async def get(self):
        """The next packet; None at the end of the connection."""
        async with asyncio.timeout(10):
            while not self.ready:
                try:
                    data = await self.reader.read(65536)
                except ConnectionError:
                    return None
                if not data:
                    return None
                for item in self.decoder.feed(data):
                    if isinstance(item, Pubacks):
                        self.ready += [
                            Pubacks([i], [r]) for i, r in zip(item.ids, item.reasons, strict=True)
                        ]
                    elif isinstance(item, Publishes):
                        self.ready += item.each()
                    else:
                        self.ready.append(item)
            return self.ready.pop(0)

    async def silent(self):
        """Whether nothing has come after the event loop had time to send."""
        for _ in range(20):
            await asyncio.sleep(0.001)
        return not self.ready and not self.reader._buffer

    def drop(self):
        self.writer.transport.abort()


@pytest.fixture
def intake():
    return FakeIntake()


@contextlib.asynccontextmanager
async def running(intake, base_dir=Path(), **settings):
    """A listener on a free port."""
    listener = Listener(line.Listener(port=0, **settings), SystemClock(), base_dir)
    task = asyncio.create_task(listener.run(intake))
    await asyncio.wait_for(listener.started.wait(), 20)
    try:
        yield listener
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def listener(intake):
    async with running(intake) as server:
        yield server


@pytest.fixture
def raw(listener, raw_type):
    """Connect raw devices to the listener."""

    async def connect(client_id="dev", version=V5, **kw):
        return await raw_type.connect(listener.port, client_id, version, **kw)

    return connect


@pytest.fixture
def serve():
    return running


@pytest.fixture
async def raw_type():
    """Raw devices; all are closed at the end."""
    yield Raw
    while Raw.made:
        Raw.made.pop().drop()
    await asyncio.sleep(0)


@pytest.fixture
def intake_type():
    return FakeIntake


@pytest.fixture
def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Mosquitto:
    """A real broker that can be killed and started again on its data."""

    def __init__(self, folder, port, extra=""):
        self.folder, self.port, self.process = folder, port, None
        folder.mkdir(exist_ok=True)
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nuser root\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nautosave_on_changes true\nautosave_interval 1\n"
            f"max_queued_messages 0\nmax_inflight_messages 1000\n{extra}\n"
        )

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            "mosquitto",
            "-c",
            str(self.folder / "mosquitto.conf"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    await writer.wait_closed()
                    return

    async def kill(self):
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def forget(self):
        """Lose every session, as a broker does that stores nothing."""
        (self.folder / "mosquitto.db").unlink(missing_ok=True)

    async def publish(self, payloads, topic="plant/x", qos=1, **kw):
        """Publish with the player of this package."""
        rows = [(0.0, topic, p) for p in payloads]
        return await play(
            rows, "127.0.0.1", self.port, speed=None, qos=qos, client_id="test-pub", **kw
        )


@pytest.fixture
async def mosquitto(tmp_path, free_port):
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    broker = Mosquitto(tmp_path / "broker", free_port)
    await broker.start()
    yield broker
    await broker.kill()
