"""Words that commands share."""

from __future__ import annotations

import pickle

from objectness.cli.convert import command
from objectness.cli.evaluate import command as evaluate
from objectness.cli.output import with_options
from objectness.errors import InputError, MissingContextError


def test_the_command_line_adds_its_options_to_the_sentence_of_an_error() -> None:
    assert with_options(InputError("Wrong."), command) == "Wrong."
    error = MissingContextError("Give the data set or the images.", arguments=("data", "images"))
    assert str(error) == "Give the data set or the images."
    assert with_options(error, command) == "Give the data set or the images (--data or --images)."
    assert with_options(InputError("Say which.", arguments=["source_format"]), command) == "Say which (--from)."
    assert with_options(pickle.loads(pickle.dumps(error)), command) == with_options(error, command)  # from a worker


def test_options_that_a_command_does_not_have_are_not_named() -> None:
    error = InputError("Name the format.", arguments=("target_format", "source_format"))
    assert with_options(error, evaluate) == "Name the format (--from)."
    assert with_options(InputError("Give the images.", arguments=("images",)), evaluate) == "Give the images."
