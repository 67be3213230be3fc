"""Run length: how many points a chart takes to its first signal, in control and after a shift.

Everything here is exact up to the digits shown: Markov chains for zone rules, integral equations
for what remembers a value (EWMA, CUSUM, MEWMA, trends, moving ranges, autocorrelated input). Only
a rule set whose memory is too long to be followed is simulated, through the real detector, and
then says so (``simulate`` is a module of its own: it needs the charts). Run lengths start at the first point (zero state) and assume known parameters.
"""

from twin.detectors.spc.runlength.attributes import (
    arl_binomial,
    arl_poisson,
    arl_range,
    arl_s,
    arl_t2,
)
from twin.detectors.spc.runlength.autocorrelated import (
    arl_ar1,
    block_length,
    residual_shift,
    scale_of,
)
from twin.detectors.spc.runlength.chart import SHIFTS, ChartRuns, Statistic, of_chart
from twin.detectors.spc.runlength.cusum import arl_cusum, siegmund
from twin.detectors.spc.runlength.design import (
    design_cusum,
    design_ewma,
    design_mewma,
    design_shewhart,
)
from twin.detectors.spc.runlength.ewma import arl_ewma
from twin.detectors.spc.runlength.mewma import arl_mewma
from twin.detectors.spc.runlength.moving_range import arl_moving_range
from twin.detectors.spc.runlength.result import LONGEST_ARL, Method, RunLength, fastest, together
from twin.detectors.spc.runlength.rules import arl_rules, known_arl0

__all__ = [
    "LONGEST_ARL",
    "SHIFTS",
    "ChartRuns",
    "Method",
    "RunLength",
    "Statistic",
    "arl_ar1",
    "arl_binomial",
    "arl_cusum",
    "arl_ewma",
    "arl_mewma",
    "arl_moving_range",
    "arl_poisson",
    "arl_range",
    "arl_rules",
    "arl_s",
    "arl_t2",
    "block_length",
    "design_cusum",
    "design_ewma",
    "design_mewma",
    "design_shewhart",
    "fastest",
    "known_arl0",
    "of_chart",
    "residual_shift",
    "scale_of",
    "siegmund",
    "together",
]
