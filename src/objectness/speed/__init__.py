"""Speed of a model on this machine, part by part. No torch."""
