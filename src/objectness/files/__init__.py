"""Files: bounded reading of untrusted ones, atomic writing, YAML and XML text."""
