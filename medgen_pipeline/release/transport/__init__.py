"""How files are reached: over HTTP, in a directory, in a bucket. What a release is, is not here."""
