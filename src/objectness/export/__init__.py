"""A checkpoint to one file that needs no PyTorch: pixels in, boxes and scores out, its description inside."""
