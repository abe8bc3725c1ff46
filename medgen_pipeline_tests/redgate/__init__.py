"""A gate that makes a real PostgreSQL answer like Amazon Redshift. Its README says what a green run proves.

``gate`` is what tests use; ``rules`` and ``allowlist`` say what is accepted, with AWS's page for each entry.
"""
