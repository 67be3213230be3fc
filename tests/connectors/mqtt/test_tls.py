"""TLS at both ends, with certificates made for the test."""

import asyncio
import contextlib
import json
import shutil
import ssl

import pytest

from connectors.mqtt.codec import encode
from connectors.mqtt.packets import V5, Connect, Publish
from connectors.mqtt.session import Session
from twin.clock import SystemClock
from twin.errors import ConfigError
from twin.model.line import Broker, Device
from twin.model.message import Kind

pytestmark = pytest.mark.peer


async def openssl(folder, *args):
    process = await asyncio.create_subprocess_exec(
        "openssl",
        *args,
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0


@pytest.fixture
async def certs(tmp_path):
    """A CA, a certificate for 127.0.0.1, one for the device ``gw``, and a foreign CA."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for ca in ("ca", "foreign"):
        await openssl(
            tmp_path, *new, "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-subj", f"/CN={ca}"
        )
    for name, san in (("server", "IP:127.0.0.1"), ("gw", "DNS:gw")):
        await openssl(
            tmp_path, *new, "-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", f"{name}.key",
            "-out", f"{name}.pem", "-subj", f"/CN={name}", "-addext", f"subjectAltName={san}",
            "-addext", "basicConstraints=critical,CA:FALSE",
        )  # fmt: skip
    return tmp_path


async def ask(port, context, *packets):
    """Send packets over TLS and return the first bytes of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(b"".join(encode(p, V5) for p in packets))
    answer = await asyncio.wait_for(reader.readexactly(4), 20)
    await asyncio.sleep(0.1)
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    return answer


async def test_listener_with_client_certificate(serve, intake, certs):
    """A client certificate of the CA proves its identity; without one a password is needed."""
    settings = {
        "cert_file": "server.pem",
        "key_file": "server.key",
        "client_ca_file": "ca.pem",
        "anonymous": False,
        "device": [Device(user="gw", publish=["ok/#"])],
    }
    async with serve(intake, certs, **settings) as listener:
        bare = ssl.create_default_context(cafile=certs / "ca.pem")
        assert (await ask(listener.port, bare, Connect("x")))[3] == 0x87
        assert (await ask(listener.port, bare, Connect("x", user="gw", password=b"")))[3] == 0x86
        known = ssl.create_default_context(cafile=certs / "ca.pem")
        known.load_cert_chain(certs / "gw.pem", certs / "gw.key")
        sent = [Connect("x"), Publish("ok/1", b"yes"), Publish("no", b"no")]
        assert (await ask(listener.port, known, *sent))[3] == 0
        await intake.until(lambda: intake.payloads)
        assert intake.payloads == [b"yes"]


async def test_listener_refuses_bad_certificate_files(serve, intake, certs):
    """A certificate that cannot be loaded refuses to start."""
    for settings in (
        {"cert_file": "missing.pem"},
        {"cert_file": "server.pem", "key_file": "gw.key"},
    ):
        with pytest.raises(ConfigError, match="cert_file"):
            async with serve(intake, certs, **settings):
                pass


async def test_session_over_tls(serve, intake_type, certs):
    """The session checks the certificate of the other side and says what is wrong with it."""
    there = intake_type()
    async with serve(there, certs, cert_file="server.pem", key_file="server.key") as listener:
        for ca, want in (("ca.pem", "new"), ("foreign.pem", "lost")):
            intake = intake_type()
            settings = Broker(host="127.0.0.1", port=listener.port, tls=True, ca_file=ca)
            task = asyncio.create_task(
                Session(settings, f"id-{ca}", SystemClock(), certs).run(intake)
            )
            await intake.until(lambda taken=intake: taken.blocks)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            first = json.loads(intake.of(Kind.SOURCE)[0][1])
            assert first["state"] == want
            if want == "lost":
                assert "certificate" in first["detail"]
