import dataclasses
import json

import pytest

from copycat_jax.config import Config, setting
from copycat_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Inner(Config, section="outer.inner"):
    span: tuple[float, float] = (0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Outer(Config, section="outer"):
    name: str = setting("one", one_of=("one", "two"))
    count: int = setting(3, at_least=1)
    size: int = setting(8, from_data=True)
    pairs: tuple[tuple[int, int], ...] = ((1, 2),)
    inner: Inner = dataclasses.field(default_factory=Inner)


def test_survives_json():
    config = Outer(name="two", count=1, pairs=((3, 4), (5, 6)), inner=Inner(span=(0.5, 2.0)))
    back = Outer.from_dict(json.loads(json.dumps(config.to_dict())))
    assert back == config and hash(back) == hash(config)


def test_what_is_left_out_has_its_default():
    assert Outer.from_dict({}) == Outer() and Outer.from_dict({"inner": {}}).inner == Inner()
    assert set(Outer.from_dict({"count": 5}).to_dict()) == {"name", "count", "size", "pairs", "inner"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cuont": 1}, r"^outer: unknown field 'cuont'. Did you mean 'count'\?$"),
        ({"inner": {"spam": 1}}, r"^outer\.inner: unknown field 'spam'. Did you mean 'span'\?$"),
        ({"name": "three"}, r"^outer\.name: 'three'. Choose one of one, two\.$"),
        ({"count": 0}, r"^outer\.count: 0. Give at least 1\.$"),
        ({"count": float("nan")}, r"^outer\.count: nan. Give at least 1\.$"),
    ],
)
def test_mistakes_are_one_line_that_names_the_field(fields, message):
    with pytest.raises(UserError, match=message):
        Outer.from_dict(fields)


def test_values_are_checked_however_it_is_made():
    with pytest.raises(UserError, match="one, two"):
        dataclasses.replace(Outer(), name="three")


def test_the_data_decides_its_own_fields_only():
    sized = Outer(size=1).sized({"size": 16, "count": 7, "elsewhere": 2})
    assert (sized.size, sized.count) == (16, 3)
    assert Outer(size=1).sized({}).size == 1
