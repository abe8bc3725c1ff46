"""What gates share: a gate stands where a vendor's warehouse would, and refuses what the vendor would refuse.

``redgate`` is Amazon Redshift, ``dbxgate`` is Databricks SQL. Each has its own rules, protocol and engine.
"""
