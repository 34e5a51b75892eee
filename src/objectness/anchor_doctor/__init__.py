"""Do these anchors fit these boxes? Best possible recall, boxes out of reach, better sizes and ratios. No torch."""
