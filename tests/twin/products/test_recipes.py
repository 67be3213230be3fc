"""Which recipe a reading belongs to: product, station, line."""

from __future__ import annotations

import numpy as np
import pytest

from twin.config import parse
from twin.errors import ConfigError, DecodeError
from twin.model.batch import BAD, Batch, recipe_code, recipe_name
from twin.products import Products

S = 1_000_000_000
LINE = """
[line]
recipe = "house"

[[station]]
id = "mixing"
product = "mix_batch"

[[station.sensor]]
key = "torque"
period_s = 1

[[station]]
id = "coating"
product = "coil"
recipe_from = "recipe"

[[station.sensor]]
key = "recipe"
role = "state"
sampling = "event"

[[station.sensor]]
key = "mass"
period_s = 1
"""
TORQUE, NUMBER, MASS = range(3)


def of(*rows: tuple[int, int, float]) -> Batch:
    sensor, second, value = zip(*rows, strict=True)
    return Batch.of(sensor, np.array(second) * S, value)


def say(products: Products, **message: object) -> None:
    products.handle({"ts": 0, **message}, 0, 1)


@pytest.fixture
def products() -> Products:
    return Products(parse({"line.toml": LINE}))


def recipes(products: Products, batch: Batch) -> list[int]:
    products.join(batch)
    return batch.recipe.tolist()


def test_the_line_speaks_when_nobody_else_does(products):
    """Readings without product and recipe number belong to the line's recipe."""
    assert recipes(products, of((TORQUE, 1, 1), (MASS, 1, 1))) == [recipe_code("house")] * 2


def test_the_number_of_a_station_holds_from_its_row_on(products):
    """A recipe number changes what follows at its station, in the same batch and later ones."""
    house, three, four = map(recipe_code, ("house", "3", "4"))
    rows = of((MASS, 1, 1), (NUMBER, 2, 3), (MASS, 3, 1), (TORQUE, 3, 1), (NUMBER, 4, 4))
    assert recipes(products, rows) == [house, three, three, house, four]
    assert recipes(products, of((MASS, 5, 1))) == [four]


def test_a_bad_number_says_nothing(products):
    """A recipe number of bad quality or without value is no recipe number."""
    rows = Batch.of([NUMBER, NUMBER, MASS], [S, 2 * S, 3 * S], [3.0, np.nan, 1.0], [BAD, 192, 192])
    assert recipes(products, rows) == [recipe_code("house")] * 3


def test_a_product_knows_better_and_hands_down(products):
    """The recipe of a product wins, and what is made from it has the same."""
    say(products, op="start", id="B1", station="mixing", recipe="nmc-7")
    say(products, op="transform", id="C1", station="coating", parents=["B1"], ts=1000)
    found = recipes(products, of((TORQUE, 0, 1), (NUMBER, 2, 3), (MASS, 3, 1)))
    assert found == [recipe_code("nmc-7")] * 3


def test_two_recipes_for_one_product_are_refused(products):
    """A product has one recipe; the second one said is a conflict and changes nothing."""
    say(products, op="start", id="B1", station="mixing", recipe="nmc-7")
    with pytest.raises(DecodeError, match=r"made by recipe nmc-7, now said to be lfp-2"):
        say(products, op="end", id="B1", station="mixing", recipe="lfp-2")


def test_cuts_and_restarts_change_nothing(products):
    """The same rows in pieces, with a snapshot between, give the same recipes."""
    rows = [(MASS, 1, 1), (NUMBER, 2, 3), (MASS, 3, 1), (NUMBER, 4, 4), (MASS, 5, 1)]
    say(products, op="start", id="B1", station="mixing", recipe="nmc-7")
    whole = recipes(products, of(*rows, (TORQUE, 6, 1)))
    index = parse({"line.toml": LINE})
    other = Products(index)
    say(other, op="start", id="B1", station="mixing", recipe="nmc-7")
    found = []
    for row in (*rows, (TORQUE, 6, 1)):
        found += recipes(other, of(row))
        fresh = Products(index)
        fresh.restore(other.snapshot())
        other = fresh
    assert found == whole


def test_recipe_from_must_lead_to_a_state():
    """``recipe_from`` names a sensor of the station, and its role is state."""
    with pytest.raises(ConfigError, match=r"recipe_from.*no such sensor here.*recipe, mass"):
        parse({"line.toml": LINE.replace('recipe_from = "recipe"', 'recipe_from = "number"')})
    with pytest.raises(ConfigError, match=r"recipe_from.*is no state"):
        parse({"line.toml": LINE.replace('role = "state"', 'role = "characteristic"')})


def test_a_code_is_shown_by_its_name(products):
    """The name a product told is what people read; a code nobody explained stays a number."""
    say(products, op="start", id="B1", station="mixing", recipe="nmc-8-of-a-test")
    assert recipe_name(recipe_code("nmc-8-of-a-test")) == "nmc-8-of-a-test"
    assert recipe_name(5) == "#5"
    assert recipe_name(-1) == ""
