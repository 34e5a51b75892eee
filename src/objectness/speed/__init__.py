"""How fast a model is on this machine, part by part. No torch."""
