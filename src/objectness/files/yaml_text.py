"""YAML from untrusted sources: plain values only, bounded, and one sentence for whatever cannot be read.

PyYAML's safe loader builds dates, sets and byte strings, follows aliases whose lists unfold without bound when they
are printed or merged, and raises whatever Python raises inside it. Here a document is text, numbers, flags, nulls,
lists and mappings; an alias may stand for one plain value.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from objectness.errors import InputError
from objectness.files.untrusted import read_text

MOST_YAML_BYTES = 1 << 20
"""Names of tens of thousands of classes fit; the parser takes seconds a megabyte."""

_DEEPEST = 30

_PLAIN = frozenset({"null", "bool", "int", "float", "str", "seq", "map"})


def load_yaml(path: Path) -> Any:
    """Parse a YAML file.

    Raises:
        InputError: it cannot be read, is no YAML, or holds more than plain values.
    """
    return parse_yaml(read_text(path, MOST_YAML_BYTES), str(path))


def parse_yaml(text: str, where: str) -> Any:
    """Parse a YAML document; ``where`` is what to call it in messages.

    Raises:
        InputError: it is no YAML, or holds more than plain values.
    """
    import yaml

    class PlainLoader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            is_alias = self.check_event(yaml.AliasEvent)
            node = super().compose_node(parent, index)
            if is_alias and not isinstance(node, yaml.ScalarNode):
                problem = "an alias stands for a list or a mapping, which is not read"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark())
            return node

        def fetch_flow_collection_start(self, token: Any) -> None:
            # The scanner looks through all open brackets at every word.
            if self.flow_level >= _DEEPEST:
                raise yaml.MarkedYAMLError(problem="brackets are nested too deeply", problem_mark=self.get_mark())
            super().fetch_flow_collection_start(token)

    # Dates would be lost as what they are: a class may be called 2024-01-01.
    PlainLoader.yaml_implicit_resolvers = {
        first: [entry for entry in entries if entry[0] != "tag:yaml.org,2002:timestamp"]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    PlainLoader.yaml_constructors = {
        tag: constructor
        for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in _PLAIN
    }
    try:
        return yaml.load(text, Loader=PlainLoader)
    except RecursionError:
        reason = "it is nested too deeply"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        reason = f"{place}{error.problem or error.context or 'not understood'}"
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__  # a tag whose value does not suit it
    raise InputError(f"{where} is not a YAML file that can be read ({reason}): correct it, or write it anew.")
