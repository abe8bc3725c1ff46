"""A data platform that has tables of MedGen beside tables of its own."""
