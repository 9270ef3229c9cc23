#!/bin/sh
# Creates the database roles of gateway and auth for docker-compose.yml, each with a random password, in a file that
# only its own service mounts. A second run keeps the passwords. It runs as the owner, POSTGRES_USER, with psql.
set -eu
umask 022

[ -z "${DATABASE_URL:-}" ] || exit 0  # src/.env names a role itself, for all parts

password_in() {
    if ! [ -s "$1/password" ]; then
        od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > "$1/draft"
        mv "$1/draft" "$1/password"
    fi
    cat "$1/password"
}

GATEWAY_DB_PASSWORD=$(password_in "$GATEWAY_FOLDER")
AUTH_DB_PASSWORD=$(password_in "$AUTH_FOLDER")
export GATEWAY_DB_PASSWORD AUTH_DB_PASSWORD
export PGHOST="$POSTGRES_HOST" PGPORT="$POSTGRES_PORT" PGUSER="$POSTGRES_USER" PGDATABASE="$POSTGRES_DB"
export PGPASSWORD="$POSTGRES_PASSWORD"
exec psql -Xq -v ON_ERROR_STOP=1 -f "$(dirname "$0")/roles.sql"
