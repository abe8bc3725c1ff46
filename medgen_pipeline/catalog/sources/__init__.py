"""The sources of files: one module per publisher of tables."""
