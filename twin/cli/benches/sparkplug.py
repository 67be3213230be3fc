"""Sparkplug B: samples that arrive fifty in a payload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin import config
from twin.cli.benches import lines
from twin.cli.benches.figure import Figure, Work, cost_of
from twin.engine.pipeline import Pipeline
from twin.ingest import Ingest
from twin.ingest.sparkplug_encode import encode
from twin.ingest.sparkplug_wire import DataType, Metric, Payload
from twin.model.message import Entries, Kind

if TYPE_CHECKING:
    from twin.model.index import LineIndex

__all__ = ["measure"]

_METRICS = 50
_NODES = 20
_PAYLOADS = 4000
_FRAME = 1000
_START_MS = 1_700_000_000_000
_BUDGET_US = 1.0
_DOUBLE = int(DataType.DOUBLE)


def measure(work: Work) -> list[Figure]:
    """Processor time per sample: decoding and checking alone, and all stages."""
    payloads = work.count(_PAYLOADS, 2 * _NODES)
    index = _index()
    births, data = _births(), _data(payloads, _NODES + 1)
    _ingest_us(index, births, data[:1])  # compiled kernels are loaded
    _pipeline_us(index, births, data[:1])
    conditions = {
        "payloads": payloads,
        "metrics_per_payload": _METRICS,
        "nodes": _NODES,
        "bytes_per_payload": len(data[0].payloads[0]),
        "payload": "alias, timestamp and Double per metric",
    }
    return [
        Figure(
            name="sparkplug.ingest",
            unit="µs CPU/sample",
            runs=[_ingest_us(index, births, data) for _ in range(work.runs)],
            conditions={**conditions, "stages": "decode, check, route"},
        ),
        Figure(
            name="sparkplug.pipeline",
            unit="µs CPU/sample",
            runs=[_pipeline_us(index, births, data) for _ in range(work.runs)],
            budget=_BUDGET_US,
            conditions={**conditions, "stages": "all, charts as in pipeline.message"},
        ),
    ]


def _index() -> LineIndex:
    """50 metrics at each of 20 edge nodes, charted like every other sensor."""
    text = lines.line_text(_METRICS * _NODES)
    each = f'each = {{ n = "0..{_METRICS * _NODES - 1}" }}'
    nodes = f'each = {{ g = "0..{_NODES - 1}", n = "0..{_METRICS - 1}" }}\nsparkplug = "bench/g{{g}}:m{{n}}"'
    return config.parse(
        {"line.toml": text.replace('key = "s{n}"', 'key = "s{g}-{n}"').replace(each, nodes)}
    )


def _births() -> Entries:
    metrics = [
        Metric(name=f"m{n}", alias=n, timestamp=_START_MS, datatype=_DOUBLE, value=50.0)
        for n in range(_METRICS)
    ]
    session = Metric(name="bdSeq", timestamp=_START_MS, datatype=int(DataType.UINT64), value=1)
    payload = encode(Payload(timestamp=_START_MS, seq=0, metrics=[session, *metrics]))
    topics = [f"spBv1.0/bench/NBIRTH/g{g}" for g in range(_NODES)]
    return _entries(1, topics, [payload] * _NODES, 0)


def _data(payloads: int, first_seq: int) -> list[Entries]:
    """DATA of all nodes in turn, one payload per second and node."""
    values = lines.sample_values(payloads * _METRICS).reshape(payloads, _METRICS)
    topics, bodies = [], []
    for i in range(payloads):
        round_, node = divmod(i, _NODES)
        time_ms = _START_MS + 1000 * (round_ + 1)
        metrics = [
            Metric(alias=n, timestamp=time_ms, datatype=_DOUBLE, value=float(values[i, n]))
            for n in range(_METRICS)
        ]
        body = encode(Payload(timestamp=time_ms, seq=(round_ + 1) % 256, metrics=metrics))
        topics.append(f"spBv1.0/bench/NDATA/g{node}")
        bodies.append(body)
    return [
        _entries(first_seq + at, topics[at : at + _FRAME], bodies[at : at + _FRAME], at)
        for at in range(0, payloads, _FRAME)
    ]


def _entries(first_seq: int, topics: list[str], payloads: list[bytes], at: int) -> Entries:
    count = len(topics)
    # Received a day later, 2000 payloads per second: no event time lies in the future.
    start_ns, step_ns = (_START_MS + 86_400_000) * 1_000_000, 500_000
    recv = [start_ns + (at + i) * step_ns for i in range(count)]
    return Entries(
        first_seq, Kind.MESSAGE, ["mqtt:bench"] * count, topics, payloads, recv, [1] * count
    )


def _ingest_us(index: LineIndex, births: Entries, data: list[Entries]) -> float:
    ingest = Ingest(index)
    ingest.decode(births)

    def through() -> None:
        for run in data:
            ingest.decode(run)

    before = ingest.stored
    took = cost_of(through)
    return _per_sample(took.cpu_s, ingest, before, data)


def _pipeline_us(index: LineIndex, births: Entries, data: list[Entries]) -> float:
    pipeline = Pipeline(index)
    pipeline.feed(births)

    def through() -> None:
        for run in data:
            pipeline.feed(run)

    before = pipeline.ingest.stored
    took = cost_of(through)
    return _per_sample(took.cpu_s, pipeline.ingest, before, data)


def _per_sample(cpu_s: float, ingest: Ingest, before: int, data: list[Entries]) -> float:
    wanted = sum(map(len, data)) * _METRICS
    if ingest.stored - before != wanted:
        refused = dict(ingest.dead.counts)
        raise RuntimeError(f"{wanted} samples, {ingest.stored - before} stored, refused: {refused}")
    return cpu_s / wanted * 1e6
