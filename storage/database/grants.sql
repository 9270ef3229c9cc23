-- The rights of the two roles that serve, applied by each migration where both roles exist (docs/deploy.md).
--
-- chat_gateway cannot read private keys, secrets of logins and password hashes, nor change those of existing users.
-- chat_auth sees no chats. A row lock (FOR UPDATE) needs UPDATE of any column.
REVOKE ALL ON users, identities, signing_keys, data_keys, public_signing_keys, login_sessions, invitations, password_resets,
    second_factors, recovery_codes, revocations, audit_records, store_identity, chats, rooms, memberships, former_members, blocks,
    staff, bars, chat_log, replies, mentions, reactions, outbox, outbox_events, outbox_positions, user_erasures, transcripts,
    transcript_sizes FROM chat_gateway, chat_auth;

GRANT SELECT, INSERT, UPDATE, DELETE ON chats, rooms, memberships, former_members, blocks, staff, bars, chat_log, replies, mentions, reactions,
    outbox, outbox_events, outbox_positions, user_erasures, transcripts, transcript_sizes, identities, revocations TO chat_gateway;
REVOKE ALL ON chat_keys, chat_removals, last_seen, presence_leases, present_users, retention_passes FROM chat_gateway, chat_auth;
GRANT SELECT, INSERT, UPDATE, DELETE ON chat_keys, chat_removals, last_seen, presence_leases, present_users, retention_passes TO chat_gateway;
GRANT SELECT ON public_signing_keys TO chat_gateway, chat_auth;
GRANT SELECT (id, login, login_folded, first_name, last_name, display_name, avatar_url, data, kept_fields,
        changed_at, erased_at, created_at),
    UPDATE (login, login_folded, first_name, last_name, display_name, avatar_url, data, kept_fields, changed_at,
        erased_at), INSERT
    ON users TO chat_gateway;

GRANT SELECT, INSERT, UPDATE (password_hash) ON users TO chat_auth;
GRANT SELECT, INSERT, UPDATE, DELETE ON signing_keys, data_keys, login_sessions, invitations, password_resets, second_factors,
    recovery_codes, revocations TO chat_auth;

-- triggers reject the deletion of records that have not expired
GRANT SELECT, INSERT, DELETE ON audit_records TO chat_gateway, chat_auth;
GRANT SELECT, UPDATE (restores) ON store_identity TO chat_gateway, chat_auth;

-- for `chat-gateway doctor`
REVOKE ALL ON tortoise_migrations FROM chat_gateway, chat_auth;
GRANT SELECT ON tortoise_migrations TO chat_gateway, chat_auth;

-- for the ids of new rows
DO $$ BEGIN
    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO chat_gateway, chat_auth', current_schema());
END $$;
