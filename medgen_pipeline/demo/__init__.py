"""What a first look needs: a synthetic release and a PostgreSQL server of our own. Nothing else depends on it."""
