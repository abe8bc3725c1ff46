"""A gate that makes Delta tables answer like a Databricks SQL warehouse. Its README says what a green run proves.

``gate`` is what tests use; ``rules`` and ``allowlist`` say what is accepted, with the vendor's page for each entry.
"""
