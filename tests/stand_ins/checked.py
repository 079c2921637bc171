"""The type checker of the tests: beartype, to which an int is a float, as to every static checker."""

from beartype import BeartypeConf, beartype

checker = beartype(conf=BeartypeConf(is_pep484_tower=True))
