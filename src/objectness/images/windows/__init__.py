"""Windows of images of any size: readers that decode a part of a file, upright as RGB."""
