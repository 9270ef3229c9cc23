-- Creates the database roles of gateways and auth, or gives them new passwords. Run it as a role that may create roles,
-- before the migration (which gives them their rights, and must own the tables):
--
--   GATEWAY_DB_PASSWORD=… AUTH_DB_PASSWORD=… psql "$ADMIN_URL" -v ON_ERROR_STOP=1 -f deploy/postgres/roles.sql
--   DATABASE_URL=… chat-gateway migrate
--
-- The passwords come from the environment, because other users of a machine can read the arguments of its processes.
\set gateway_password `printf %s "$GATEWAY_DB_PASSWORD"`
\set auth_password `printf %s "$AUTH_DB_PASSWORD"`

SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest(ARRAY['chat_gateway', 'chat_auth']) AS name
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

SELECT format('ALTER ROLE %I PASSWORD %L', name, password)
    FROM (VALUES ('chat_gateway', :'gateway_password'), ('chat_auth', :'auth_password')) AS given (name, password)
    WHERE password <> '' \gexec
