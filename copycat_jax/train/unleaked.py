"""What Orbax asks of TensorStore at every save and TensorStore never frees [0.1.86], answered without it.

One is the metrics by which it counts bytes: 24 lists a save. The other is the specification of a key-value store as
JSON: four strings, twice for every array of the state; over an hour of frequent saves a tenth of a gigabyte.
"""

from typing import Any

import tensorstore

_to_json = tensorstore.KvStore.Spec.to_json


def mend() -> None:
    """From here on neither is asked for where it can be told otherwise."""
    tensorstore.experimental_collect_matching_metrics = lambda *_, **__: []
    tensorstore.KvStore.Spec.to_json = as_json  # type: ignore[assignment]


def as_json(spec: Any, *arguments: Any, **options: Any) -> Any:
    """`KvStore.Spec.to_json`; of a folder, whose whole specification it is, from its path."""
    if arguments or options or not spec.url.startswith("file://"):
        return _to_json(spec, *arguments, **options)
    return {"driver": "file", "path": spec.path}
