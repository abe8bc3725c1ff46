"""The vendor's own connector, through TLS and Thrift: results, transactions, files, cancelling."""

from medgen_pipeline_tests.dbxgate.backend import GatedDatabricks

MANAGED = "TBLPROPERTIES ('delta.feature.catalogManaged' = 'supported')"


def test_a_row_comes_back_as_it_was_sent(databricks: GatedDatabricks) -> None:
    databricks.query("CREATE SCHEMA m")
    databricks.query(f"CREATE TABLE m.t (n BIGINT NOT NULL, v STRING) {MANAGED}")
    databricks.query("INSERT INTO m.t VALUES (1, 'it\\'s'), (2, NULL)")
    assert databricks.query("SELECT * FROM m.t ORDER BY n") == [(1, "it's"), (2, None)]
