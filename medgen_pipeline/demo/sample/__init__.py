"""The world of the sample release, and its rows: one module per source of the catalog."""
