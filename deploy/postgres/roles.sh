#!/bin/sh
# Run once by the postgres image in an empty data folder: the owner of the tables, who migrates, and the
# application's role, which may write rows and nothing else. The audit log is append-only for it.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  -v owner="$OWNER_PASSWORD" -v app="$APP_PASSWORD" <<'SQL'
CREATE EXTENSION IF NOT EXISTS vector;
CREATE ROLE ratchet_owner LOGIN PASSWORD :'owner';
CREATE ROLE ratchet_app LOGIN PASSWORD :'app';
ALTER DATABASE ratchet OWNER TO ratchet_owner;
ALTER DEFAULT PRIVILEGES FOR ROLE ratchet_owner
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ratchet_app;
ALTER DEFAULT PRIVILEGES FOR ROLE ratchet_owner GRANT USAGE, SELECT ON SEQUENCES TO ratchet_app;
SQL
