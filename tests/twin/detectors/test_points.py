"""Points as columns."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from twin.model.points import Points


def test_points_have_the_types_kernels_rely_on():
    """Whatever is given, columns are contiguous and of one type each, with usual values elsewhere."""
    points = Points.of([1, 0], [5.0, 6.0], np.arange(4)[::2], flags=[0, 1])
    assert len(points) == 2
    assert (points.sensor.dtype, points.time_ns.dtype, points.flags.dtype) == ("i4", "i8", "u1")
    assert points.first_ns.tolist() == [5, 6]
    assert (points.row.tolist(), points.scale.tolist()) == ([0, 1], [1.0, 1.0])
    assert all(getattr(points, field.name).flags.c_contiguous for field in fields(Points))
    assert len(Points.none()) == 0


def test_taking_points_keeps_rows_together():
    """A mask, numbers or a slice choose whole points."""
    points = Points.of([0, 1, 2], [5, 6, 7], [0.5, 1.5, 2.5])
    for rows in (np.array([False, True, False]), np.array([1]), slice(1, 2)):
        taken = points.take(rows)
        assert (taken.sensor.tolist(), taken.value.tolist(), taken.row.tolist()) == (
            [1],
            [1.5],
            [1],
        )


@pytest.mark.parametrize(
    ("more", "message"),
    [({"speed": [1]}, "no column speed"), ({"size": [1.0, 2.0]}, "'size': 2")],
)
def test_columns_that_do_not_fit_are_refused(more, message):
    """A wrong name or length is told at once."""
    with pytest.raises(ValueError, match=message):
        Points.of([0], [1], [2.0], **more)
