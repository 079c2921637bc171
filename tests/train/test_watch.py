from copycat_jax.task import Floor
from copycat_jax.train.watch import FloorWatch


def test_each_metric_is_told_once_and_not_too_early():
    watch = FloorWatch({"a": Floor(2.0, 10, "too low"), "b": Floor(0.5, 0, "too low"), "c": Floor(1.0, 0, "empty")})
    assert watch.check(10, {"a": 0.0, "b": 0.5, "c": 1.0}) == []  # not below, or not yet
    assert watch.check(11, {"a": 1.0, "b": 0.25, "other": 0.0}) == [
        "step 11: a = 1 (below 2), b = 0.25 (below 0.5): too low"
    ]
    assert watch.check(12, {"a": 0.0, "b": 0.0, "c": 0.0}) == ["step 12: c = 0 (below 1): empty"]
    assert watch.check(13, {"a": 0.0, "b": 0.0, "c": 0.0}) == []
    assert FloorWatch({}).check(1, {"a": 0.0}) == []
