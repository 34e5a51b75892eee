"""``python -m objectness.cli``: the same as the ``objectness`` script."""

from objectness.cli import main

main()
