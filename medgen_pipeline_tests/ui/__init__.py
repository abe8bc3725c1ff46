"""The pipeline in a real browser: Chromium on Dagster's webserver and daemon, as a user sees it."""
