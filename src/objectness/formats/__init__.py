"""Proposals in and out, one file a format: ``read(path)`` and ``write(path, proposals)``."""
