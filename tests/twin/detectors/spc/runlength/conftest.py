"""The real detector as an oracle for run lengths."""

from __future__ import annotations

import numpy as np
import pytest

from twin.detectors.spc.charts import Charts
from twin.detectors.spc.rules import RuleSet
from twin.detectors.spc.runlength.simulate import index_of
from twin.model.batch import Batch
from twin.model.line import Chart, Sensor


@pytest.fixture(scope="session")
def first_signal():
    """Number of the point at which the charts first speak; None when they never do."""

    def find(rules, values):
        own = RuleSet(name="own", rules=rules)
        chart = Chart(centre=0.0, sigma=1.0, rules="own")
        index = index_of(Sensor(key="r", period_s=1.0, chart=chart), 1)
        charts = Charts(index, rule_sets={"own": own})
        n = len(values)
        batch = Batch.of(np.zeros(n, np.int64), np.arange(n) * 1_000_000_000, values)
        for event in charts.update(batch):
            if event.type == "finding":
                return event.t_last // 1_000_000_000 + 1
        return None

    return find
