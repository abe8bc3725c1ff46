-- Runs once, when the volume of PostgreSQL is new. The warehouse is the database of POSTGRES_DB; this one is Dagster's own.
CREATE DATABASE dagster;
