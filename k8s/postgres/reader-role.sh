#!/bin/sh
# Grafana's own role: reads every table, changes none. Runs once, when the database is made.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$GRAFANA_DATABASE_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE grafana LOGIN PASSWORD :'password';
GRANT pg_read_all_data TO grafana;
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';
SQL
