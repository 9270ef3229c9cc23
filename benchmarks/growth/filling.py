"""Fills an empty PostgreSQL store with rows whose numbers have the proportions of a real one, with all constraints.

What a reader sees stays the same at every size: READER is in READER_CHATS chats, BUSY_READER in many more, spread over
all. Everything else grows with the log: users, chats, and one chat of everybody (LARGE_CHAT), which has a fifth of all
messages.
"""

from typing import Final

import asyncpg

READER: Final = 1
"""The user whose requests are measured."""
PEER: Final = 2
"""The other member of DIRECT_CHAT."""
BUSY_READER: Final = 11
"""The user of the most chats."""
LARGE_CHAT: Final = 1
DIRECT_CHAT: Final = 2
GROUP: Final = 3
READER_CHATS: Final = 60
TARGET: Final = 1
"""The message in LARGE_CHAT that a tenth of the others reply to."""
ISSUER: Final = "https://issuer.example"

_USERS_SHARE: Final = 20  # rows of the log for each user
_CHATS_SHARE: Final = 100
_MEMBERS: Final = 8  # of a group

_SCRIPT: Final = f"""
INSERT INTO users (id, login, login_folded, password_hash, first_name, last_name, changed_at, created_at)
SELECT i, 'user' || i, 'user' || i, 'hash', 'First', 'Last', i, now() FROM generate_series(1, {{users}}) i;

INSERT INTO identities (issuer, subject, user_id)
SELECT '{ISSUER}', 'subject' || i, i FROM generate_series(1, {{users}}, 2) i;

INSERT INTO chats (id, kind, title, creator_id, created_by, last_seq, last_message_id, members_version, direct_key,
    last_activity, created_at)
SELECT {LARGE_CHAT}, 'group', 'everybody', 1, 1, {{rows}} / 5, {{rows}} / 5, 1, NULL, 1, now()
UNION ALL
SELECT i, CASE WHEN i % 2 = 0 THEN 'direct' ELSE 'group' END, 'chat ' || i, i, i, 1 + n,
    {{rows}} / 5 + i - 1 + n * ({{chats}} - 1), 1, CASE WHEN i % 2 = 0 THEN (i - 1) || ':' || i END, i, now()
FROM generate_series(2, {{chats}}) i, LATERAL (SELECT ({{rows}} - {{rows}} / 5 + 1 - i) / ({{chats}} - 1) AS n) earlier;

INSERT INTO memberships (chat_id, user_id, role, read_seq, joined_at)
SELECT c.id, p.user_id, 'member', CASE WHEN c.id = {LARGE_CHAT} THEN 0 ELSE c.last_seq - 3 END, now() FROM (
    SELECT i AS chat_id, u AS user_id FROM generate_series(2, {{chats}}, 2) i, unnest(ARRAY[i - 1, i]) u
    UNION ALL
    SELECT i, 1 + (i - 1 + k * 7) % {{users}}
    FROM generate_series(3, {{chats}}, 2) i, generate_series(0, {_MEMBERS - 1}) k
    UNION ALL
    SELECT {LARGE_CHAT}, u FROM generate_series(1, {{users}}) u
    UNION ALL
    SELECT 3 + 2 * (k * ({{chats}} / 2 - 2) / {READER_CHATS}), {READER} FROM generate_series(0, {READER_CHATS} - 3) k
    UNION ALL
    SELECT 4 + k * ({{chats}} - 3)::bigint / {{busy_chats}}, {BUSY_READER}
    FROM generate_series(0, {{busy_chats}} - 1) k) p
JOIN chats c ON c.id = p.chat_id
ORDER BY c.id
ON CONFLICT DO NOTHING;

INSERT INTO rooms (name, chat_id)
SELECT 'room' || id, id FROM chats WHERE id % 10 = 1;

INSERT INTO chat_keys (key, chat_id)
SELECT 'key' || id, id FROM chats WHERE id % 5 = 3;

INSERT INTO chat_log (id, chat_id, seq, kind, message_id, sender_id, client_msg_id, digest, text, is_edited, is_deleted,
    created_at, reply_to)
SELECT i, {LARGE_CHAT}, i, 'message', i, 1 + i % {{users}}, 'id' || i, '\\x00', repeat('x', 60), false, false, now(),
    CASE WHEN i % 10 = 0 THEN {TARGET} END
FROM generate_series(1, {{rows}} / 5) i;

INSERT INTO chat_log (id, chat_id, seq, kind, message_id, sender_id, client_msg_id, digest, text, is_edited, is_deleted,
    created_at)
SELECT {{rows}} / 5 + 1 + i, 2 + i % ({{chats}} - 1), 1 + i / ({{chats}} - 1), 'message', {{rows}} / 5 + 1 + i,
    2 + i % ({{chats}} - 1), 'id' || i, '\\x00', repeat('x', 60), false, false, now()
FROM generate_series(0, {{rows}} - {{rows}} / 5 - 1) i;

INSERT INTO replies (message_id, target_id, seq)
SELECT id, reply_to, seq FROM chat_log WHERE reply_to IS NOT NULL;

INSERT INTO mentions (user_id, chat_id, seq)
SELECT sender_id, chat_id, seq FROM chat_log WHERE id % 20 = 0
UNION SELECT {READER}, chat_id, seq FROM chat_log WHERE chat_id = {LARGE_CHAT} AND id % 50 = 0;

INSERT INTO reactions (chat_id, user_id, key, message_id)
SELECT chat_id, u, 'like', id FROM chat_log, unnest(ARRAY[{READER}, sender_id]) u WHERE id % 10 = 5
ON CONFLICT DO NOTHING;

INSERT INTO former_members (chat_id, user_id, read_seq)
SELECT i, 1 + (i + 3) % {{users}}, 1 FROM generate_series(3, {{chats}}, 2) i;

INSERT INTO blocks (user_id, blocked_id, created_at)
SELECT i, i + 100, now() FROM generate_series(1, {{users}}) i;

INSERT INTO last_seen (user_id, seen_at)
SELECT i, i FROM generate_series(1, {{users}}) i;

INSERT INTO login_sessions (id, secret, digest, previous_digest, created_at, rotated_at, expires_at, user_id)
SELECT 'session' || i, 'secret', 'digest' || i, '', 0, i, 9999999999, 1 + i % {{users}}
FROM generate_series(1, {{users}} * 2) i;

INSERT INTO revocations (user_id, kind, digest, moment, reason, created_at, expires_at)
SELECT 1 + i % {{users}}, CASE WHEN i % 2 = 0 THEN 'jti' ELSE 'issued_before' END, 'digest' || i, 1, '', 1, 9999999999
FROM generate_series(1, {{users}}) i;

INSERT INTO transcripts (user_id, session_id, place, direction, payload, is_text, created_at)
SELECT 1 + i % {{users}}, 'echo' || i / 10, i, 'in', '\\x00', true, now() FROM generate_series(1, {{rows}} / 10) i;

INSERT INTO audit_records (uid, created_at, expires_at, event, result, actor, operation, on_behalf_of, address,
    request_id, user_id, chat_id, facts, count, node)
SELECT 'uid' || i, i, 9999999999, 'login', 'success', 'user:' || 1 + i % {{users}}, '', '', '', '', 1 + i % {{users}},
    1 + i % {{chats}}, '{{{{}}}}', 1, '' FROM generate_series(1, {{rows}} / 10) i;

INSERT INTO invitations (digest, login_folded, expires_at)
SELECT 'digest' || i, 'guest' || i, 9999999999 FROM generate_series(1, {{users}}) i;

INSERT INTO password_resets (digest, expires_at, user_id)
SELECT 'digest' || i, 9999999999, i FROM generate_series(1, {{users}}) i;

INSERT INTO second_factors (secret, is_confirmed, last_step, user_id)
SELECT 'secret', true, 0, i FROM generate_series(1, {{users}}) i;

INSERT INTO recovery_codes (digest, user_id)
SELECT 'digest' || i, i FROM generate_series(1, {{users}}) i;

INSERT INTO bars (chat_id, user_id, barred_by, created_at)
SELECT {LARGE_CHAT}, i, 1, now() FROM generate_series(4, {{users}}, 2) i;

INSERT INTO user_erasures (user_id, messages, requested_at, identity_digest, chat_cursor, erased_messages, claimed_by,
    claimed_until, finished_at)
SELECT i, 'keep', i, 'digest' || i, 0, 0, '', 0, 1 FROM generate_series(5, {{users}}, 5) i;

INSERT INTO present_users (user_id, lease_id)
SELECT i, 1000 FROM generate_series(3, {{users}}, 3) i;

SELECT setval('users_id_seq', {{users}}), setval('chats_id_seq', {{chats}}), setval('chat_log_id_seq', {{rows}});
"""


async def fill(database_url: str, rows: int, busy_chats: int) -> None:
    """Fill the migrated, empty database with this number of stored messages, at least 10,000.

    `busy_chats`: of BUSY_READER, less than the chats, of which there is one for 100 messages.
    """
    script = _SCRIPT.format(rows=rows, users=rows // _USERS_SHARE, chats=rows // _CHATS_SHARE, busy_chats=busy_chats)
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f"BEGIN; {script} COMMIT")
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
