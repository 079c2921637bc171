import pytest

from copycat_jax.train.identity import binding, changes, code_digest, differences


def test_differences_name_dotted_fields_and_both_values():
    old, new = {"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 1}
    assert differences(old, new) == {"a.c": [2, 3], "d": [None, 1]}
    assert differences(old, new, shared_only=True) == {"a.c": [2, 3]}


def test_what_computes_nothing_is_told_but_binds_nobody():
    old = {"code": "c", "jax": "1", "processes": 2, "config": {"train": {"keep": 1, "steps": 9}, "mesh": {"fsdp": 1}}}
    new = {"code": "c", "jax": "2", "processes": 1, "config": {"train": {"keep": 2, "steps": 9}, "mesh": {"fsdp": 2}}}
    found = changes(old, new)
    assert found == {
        "config.mesh.fsdp": [1, 2],
        "config.train.keep": [1, 2],
        "jax": ["1", "2"],
        "processes": [2, 1],
    }
    assert binding(found) == []


@pytest.mark.parametrize("old", [{"code": "c" * 64}, {"commit": "c" * 40}])  # the second of before sources were hashed
def test_another_code_binds(old):
    found = changes(
        {**old, "config": {"model": {"a": 1, "gone": 1}}}, {"code": "d" * 64, "config": {"model": {"a": 2}}}
    )
    first, second = binding(found)
    assert first.startswith("code (") and f"then, {'d' * 16} now" in first and second == "config field model.a"


def test_the_code_is_its_sources_and_nothing_beside_them(tmp_path, monkeypatch):
    package = tmp_path / "a_package"
    (package / "inner").mkdir(parents=True)
    for name in ("__init__.py", "inner/module.py"):
        (package / name).write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    first = code_digest(("a_package", "absent_package"))
    (package / "README.md").write_text("words")
    (package / "inner" / "module.pyc").write_bytes(b"compiled")
    assert code_digest(("a_package", "absent_package")) == first
    (package / "inner" / "module.py").write_text("x = 2\n")
    second = code_digest(("a_package",))
    (package / "inner" / "module.py").rename(package / "inner" / "moved.py")
    assert len({first, second, code_digest(("a_package",)), code_digest()}) == 4
