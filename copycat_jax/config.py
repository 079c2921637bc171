"""Configurations: frozen dataclasses of plain fields that hold defaults, allowed values and documentation once."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from copycat_jax.errors import UserError, refuse_unknown

_Own = TypeVar("_Own", bound="Config")


def setting(default: Any, *, one_of: Sequence[str] = (), at_least: float | None = None, from_data: bool = False) -> Any:
    """A field of a `Config` with what is allowed in it.

    Args:
      default: its value where none is given.
      one_of: all values it may have.
      at_least: its smallest value.
      from_data: the data decides it, see `Config.sized`.
    """
    rules = {"one_of": tuple(one_of), "at_least": at_least, "from_data": from_data}
    return dataclasses.field(default=default, metadata=rules)


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of one section of a configuration; its subclasses are frozen dataclasses whose fields have defaults.

    Groups of fields are commented sections of one flat class, since the names of the fields are what bundles, runs and
    the command line hold: moving a field from one group to another then changes no file.
    """

    section: ClassVar[str] = "config"  # what errors call it

    def __init_subclass__(cls, section: str = "", **options: Any):
        super().__init_subclass__(**options)
        cls.section = section or cls.section

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value, rules = getattr(self, field.name), field.metadata
            if rules.get("one_of") and value not in rules["one_of"]:
                raise self.wrong(field.name, f"Choose one of {', '.join(rules['one_of'])}.")
            if rules.get("at_least") is not None and not value >= rules["at_least"]:
                raise self.wrong(field.name, f"Give at least {rules['at_least']}.")

    def wrong(self, name: str, remedy: str) -> UserError:
        """The error that the value of field `name` is."""
        value = getattr(self, name)
        return UserError(f"'{value}'" if isinstance(value, str) else f"{value}", f"{self.section}.{name}", remedy)

    @classmethod
    def from_dict(cls: type[_Own], fields: Mapping[str, Any]) -> _Own:
        """From plain fields as JSON has them: lists for tuples, dictionaries for sections inside.

        Raises:
          UserError: an unknown field (naming the nearest), or a value that is not allowed.
        """
        known = {field.name: _default(field) for field in dataclasses.fields(cls)}
        refuse_unknown(fields, known, cls.section)
        return cls(**{name: _restored(value, known[name]) for name, value in fields.items()})

    def to_dict(self) -> dict[str, Any]:
        """All fields, plain; `from_dict` inverts it."""
        return dataclasses.asdict(self)

    def sized(self: _Own, shapes: Mapping[str, Any]) -> _Own:
        """The same with the fields that the data decides, as far as `shapes` names them."""
        names = [field.name for field in dataclasses.fields(self) if field.metadata.get("from_data")]
        return dataclasses.replace(self, **{name: shapes[name] for name in names if name in shapes})


def _default(field: dataclasses.Field) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _restored(value: Any, default: Any) -> Any:
    if isinstance(default, Config) and isinstance(value, Mapping):
        return type(default).from_dict(value)
    return tuple(_restored(item, None) for item in value) if isinstance(value, list | tuple) else value
