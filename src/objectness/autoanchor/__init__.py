"""Fit of anchors to a data set: best possible recall, boxes out of reach, better sizes and ratios. No torch."""
