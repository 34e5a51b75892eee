"""Shared machinery of the formats: specification, parsed rows, images by name, safe pickle."""
