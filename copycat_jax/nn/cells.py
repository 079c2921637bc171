"""The recurrent cells that all implementations share: their names, and how many gates each has."""

from typing import Literal

Cell = Literal["gru", "lstm"]
GATES: dict[str, int] = {"gru": 3, "lstm": 4}
