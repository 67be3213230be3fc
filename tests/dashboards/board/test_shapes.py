"""The shapes are what the view returns and what the API documents."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import ValidationError

from dashboards.board import shapes
from dashboards.board.shapes import check

if TYPE_CHECKING:
    from tests.dashboards.board.conftest import FakeView


async def test_view_returns_the_shapes(view: "FakeView") -> None:
    """Every answer of the view the other tests use has the documented shape."""
    view.find("calender/line_load", "rule1", "One point is out.")
    view.raise_alarm()
    check("overview", view.overview())
    check("overview", view.overview(sparks=False))
    check("sensor", view.sensor("calender/line_load"))
    check("series", view.series("calender/line_load", None, None, 50))
    check("chart", view.chart("calender/line_load", 50))
    check("groups", view.groups())
    check("group", view.group("calender", 50))
    check("group", view.group("new", 50))
    check("budget", await view.budget())
    check("alarms", view.alarms(history=False))
    check("products", view.products(10))
    check("events", view.events(0, 10, ""))
    check("ledger", view.ledger())
    check("dead_letters", view.dead_letters(10))
    check("discovery", view.discovery())


def test_misspelt_key_is_found(view: "FakeView") -> None:
    """A key the board would never read is an error, not a silent gap on the screen."""
    data = view.ledger()
    data["recieved"] = data.pop("received")
    with pytest.raises(ValidationError, match="recieved"):
        check("ledger", data)


@pytest.mark.parametrize("value", [np.float64("1.5"), np.int64(3), object()])
def test_what_is_not_plain_is_found(view: "FakeView", value: Any) -> None:
    """Numbers of numpy and other objects are no plain data; the check says so."""
    data = view.ledger()
    data["stored"] = value
    with pytest.raises(TypeError):
        check("ledger", data)


def test_all_names_exist() -> None:
    """Everything in ``__all__`` is there, sorted."""
    assert sorted(shapes.__all__, key=str) == sorted(set(shapes.__all__))
    assert all(hasattr(shapes, name) for name in shapes.__all__)
