import sys

import pytest
import tensorstore

from copycat_jax.train.unleaked import _to_json, mend


def left_behind(call, times: int = 300) -> float:
    """Blocks of memory that a call does not give back."""
    call()
    before = sys.getallocatedblocks()
    for _ in range(times):
        call()
    return (sys.getallocatedblocks() - before) / times


@pytest.mark.parametrize("path", ["/a/run/", "/with space/and%20more/ü/"])
def test_a_folder_as_json_is_the_same_and_leaves_nothing_behind(path):
    mend()
    spec = tensorstore.KvStore.Spec({"driver": "file", "path": path})
    assert spec.to_json() == _to_json(spec) == {"driver": "file", "path": path}
    assert left_behind(spec.to_json) < 1  # TensorStore's own: 4


def test_what_is_no_folder_is_told_by_tensorstore_itself():
    mend()
    spec = tensorstore.KvStore.Spec({"driver": "memory", "path": "a/"})
    assert spec.to_json() == _to_json(spec)
