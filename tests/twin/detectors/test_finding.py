"""Identities and times of events that come by the thousand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.detectors import Charts
from twin.detectors.spc import findings
from twin.model.batch import Batch
from twin.model.event import closing_id, finding_ids, iso, line_of, seed_of
from twin.model.line import Chart, Sensor

S = 1_000_000_000


def test_identities_are_those_of_content():
    """Another speaker, onset or number is another identity; the same facts give the same one."""
    speakers = [seed_of("charts", "nelson@1", f"s/{i}") for i in range(20)]
    facts = [
        (seed, first * S, number)
        for seed in speakers
        for first in range(1_700_000_000, 1_700_000_020)
        for number in range(20)
    ]
    seeds, first, number = zip(*facts, strict=True)
    ids = finding_ids(np.array(seeds, np.uint64), np.array(first), np.array(number))
    assert len({*ids, *map(closing_id, ids)}) == 2 * len(facts)
    assert {len(found) for found in ids} == {32}
    assert ids[5:6] == finding_ids(
        np.array(seeds[5:6], np.uint64), np.array(first[5:6]), np.array(number[5:6])
    )
    assert [closing_id(closing_id(found)) for found in ids] == ids


def test_no_findings_have_no_identities():
    """Nothing in, nothing out."""
    none = np.zeros(0, np.int64)
    assert finding_ids(none.astype(np.uint64), none, none) == []


@given(st.integers(-(10**17), 4 * 10**18))
def test_times_are_written_in_utc(time_ns):
    """Microseconds, cut and not rounded, before and after 1970."""
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1000)
    assert iso(time_ns) == when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_many_limits_on_one_line(line, monkeypatch):
    """Words of patterns are kept for some limits only; the events do not depend on which."""
    sensors = [
        Sensor(key=f"k{i}", chart=Chart(centre=i, sigma=1 + i, rules="nelson", cusum_k=0.5))
        for i in range(9)
    ]
    value = np.random.default_rng(3).normal(0.0, 6.0, 2000)
    batch = Batch.of(np.arange(2000) % 9, np.arange(2000) * S, value)
    said = b"".join(map(line_of, Charts(line(*sensors)).update(batch)))
    monkeypatch.setattr(findings, "_REMEMBERED", 3)
    again = Charts(line(*sensors)).update(batch)
    assert len(again) > 500
    assert b"".join(map(line_of, again)) == said


@pytest.mark.parametrize(
    ("settings", "rule", "arl0"),
    [
        # Lucas and Saccucci 1990; Lucas and Crosier 1982.
        ({"ewma_lambda": 0.2, "ewma_l": 2.962, "ewma_limits": "fixed"}, "ewma", 499.7),
        ({"ewma_lambda": 0.2, "ewma_l": 2.962}, "ewma", 494.4),
        ({"cusum_k": 0.5, "cusum_h": 4.0}, "cusum", 167.7),
        ({"cusum_k": 0.5, "cusum_h": 4.0, "cusum_start": "head-start"}, "cusum", 148.7),
    ],
)
def test_memory_charts_say_their_run_length(charted, values, settings, rule, arl0):
    """A finding of an EWMA or a CUSUM says how often one comes by chance."""
    events = Charts(charted(**settings)).update(values([3.0] * 9))
    assert [(e.rule, e.detail["arl0"]) for e in events] == [(rule, arl0)]
