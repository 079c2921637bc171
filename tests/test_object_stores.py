"""No verb takes an address in an object store for a folder: each option refuses it in one line, and makes nothing."""

import argparse
import importlib
import os

import pytest

from copycat_jax import cli
from copycat_jax.command_line import _Parser, run_program
from copycat_jax.files import names_store
from prosody_vae import cli as prosody_cli

PROGRAMS = {program.name: program for program in (cli.PROGRAM, prosody_cli.PROGRAM)}


def parsers(program, verb):
    """[(words of sub-verbs, parser)] of a verb."""
    parser = _Parser(prog=verb)
    package = program.elsewhere.get(verb, program.package)
    importlib.import_module(f"{package}.{verb.replace('-', '_')}").add_arguments(parser)
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [([name], sub) for action in below for name, sub in action.choices.items()] or [([], parser)]


def takes_text(action):
    return action.nargs != 0 and action.type is None and not action.choices and action.dest != "help"


CASES = [
    (name, verb, words, parser, action)
    for name, program in PROGRAMS.items()
    for verb in program.verbs
    for words, parser in parsers(program, verb)
    for action in parser._actions
    if takes_text(action)
]


@pytest.mark.parametrize(
    "name, verb, words, parser, action", CASES, ids=[f"{c[0]}-{c[1]}-{''.join(c[2])}-{c[4].dest}" for c in CASES]
)
def test_every_option_of_every_verb_refuses_it(name, verb, words, parser, action, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    address = "gs://bucket/a.wav"
    command = [verb, *words]
    for other in parser._actions:
        value = address if other is action else "1"
        if other.option_strings and (other is action or other.required):
            command += [other.option_strings[0], value]
        elif not other.option_strings and (other is action or other.nargs not in ("?", "*")):
            command.append(value)
    assert run_program(PROGRAMS[name], command) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{name}: {address}: is not in a file system of this machine") and error.count("\n") == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "value, found",
    [
        ("s3://b/c", True),
        ("plain:gs://b/c", True),
        ("train.init_from=s3://b", True),
        (["a", "data.x=abfss://b@c/d"], True),
        ("GS://b", True),
        ("plain:/data/gs", False),
        ("DataflowRunner --temp_location=gs://b/t", False),
        ("The run lies at gs://b/c, he said.", False),
        ("https://a/b", False),
        (3, False),
    ],
)
def test_what_is_an_address(value, found):
    assert names_store(value) is found
