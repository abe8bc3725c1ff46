-- Runs once, by psql as PostgreSQL's superuser, when the volume is new: two roles that are none, each with a database that
-- the other cannot enter.
\getenv warehouse_password WAREHOUSE_PASSWORD
\getenv dagster_password DAGSTER_PASSWORD
CREATE ROLE medgen LOGIN PASSWORD :'warehouse_password';
CREATE DATABASE medgen OWNER medgen;
REVOKE ALL ON DATABASE medgen FROM PUBLIC;
CREATE ROLE dagster LOGIN PASSWORD :'dagster_password';
CREATE DATABASE dagster OWNER dagster;
REVOKE ALL ON DATABASE dagster FROM PUBLIC;
