"""Words that commands share."""

from __future__ import annotations

import pickle

from objectness.cli.output import with_options
from objectness.errors import InputError, MissingContextError


def test_the_command_line_adds_its_options_to_the_sentence_of_an_error() -> None:
    assert with_options(InputError("Wrong.")) == "Wrong."
    error = MissingContextError("Give the data set or the images.", arguments=("dataset", "images"))
    assert str(error) == "Give the data set or the images."
    assert with_options(error) == "Give the data set or the images (--data, --images)."
    assert with_options(InputError("Say which.", arguments=["source_format"])) == "Say which (--from)."
    assert with_options(pickle.loads(pickle.dumps(error))) == with_options(error)  # from a worker process
