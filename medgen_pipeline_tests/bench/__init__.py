"""Benches: our times beside those of plain tools, measured in the same run. They print and assert nothing."""
