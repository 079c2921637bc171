"""Pictures of a comparison are drawn of what the suite has, whatever lacks."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from copycat_jax.evaluate import pictures
from copycat_jax.plots import figure_pixels


def rows(shift=0.0, **fields):
    """Scored rows of two sentences of two sources to two voices."""
    made = [
        {"sentence": str(i), "source_voice": f"s{j}", "voice": f"v{k}", "correlation": 0.1 * (i + j + k) + shift}
        for i in range(2)
        for j in range(2)
        for k in range(2)
    ]
    return [row | fields for row in made]


def test_points_are_the_figures_of_their_part_with_intervals():
    points = pictures.points_of("voice", {"a": rows(), "b": rows(0.5)}, pictures.METRICS["correlation"])
    assert points["a"]["v0"].value == pytest.approx(0.1) and points["b"]["v1"].value == pytest.approx(0.7)
    assert points["a"]["v0"].low < points["a"]["v0"].value < points["a"]["v0"].high


def test_what_is_drawn_follows_from_the_fields(monkeypatch):
    monkeypatch.setattr(pictures, "DRAWS", 10)
    drawn = pictures.pictures({"a": rows(), "b": rows(0.2)}, ("correlation", "to_target", "no such metric"))
    assert list(drawn) == ["systems.png", "by_voice.png", "by_source_voice.png", "source_by_target.png"]
    assert all(np.ptp(figure_pixels(figure)) > 0 for figure in drawn.values())
    alone = [{"id": "x", "voice": "", "correlation": 0.5}, {"id": "y", "voice": "", "missing": "no such recording"}]
    assert list(pictures.pictures({"a": alone}, ("correlation",))) == ["systems.png"]
    assert pictures.pictures({"a": alone[1:]}, ("correlation",)) == {}


def test_a_cell_without_a_figure_is_empty():
    lacking = rows()
    for row in lacking[:2]:
        row.pop("correlation")
    cells = pictures._cells(lacking[:4], pictures.METRICS["correlation"], ["s0", "s1"], ["v0", "v1"])
    assert np.isnan(cells[0]).all() and cells[1] == pytest.approx([0.1, 0.2])
