-- Commit one batch of events; the only writer of chat_log and of the end of each chat's log in chats (docs/message-log.md).
--
-- Called in autocommit, so that the call is the transaction: a client that freezes or dies cannot hold its locks.
-- VOLATILE, so that every statement below sees what was committed before the locks were granted.
-- A batch names a (chat, sender, client_msg_id) at most once. `patient` waits lock_timeout for each chat and then fails
-- as a whole; otherwise chats that are locked by others are left out ("busy").
-- One row comes back for each event: its place in the batch, what became of it, and where it is stored. `author_…` is
-- the author of a message that somebody else has changed. User 0 is the system, which writes without a membership.
-- Its arguments grow at the end, with defaults: during a rolling update nodes of the version before call it with fewer.
DO $$
DECLARE
    former regprocedure;  -- a function with other arguments or results would not be replaced
BEGIN
    FOR former IN SELECT p.oid FROM pg_proc p
        WHERE p.proname = 'chat_log_commit' AND p.pronamespace = current_schema()::regnamespace
    LOOP
        EXECUTE 'DROP FUNCTION ' || former;
    END LOOP;
END $$;

CREATE FUNCTION chat_log_commit(
    chat_ids bigint[], sender_ids bigint[], client_msg_ids text[], kinds text[], message_ids bigint[],
    digests bytea[], texts text[], patient boolean, datas text[] DEFAULT NULL,
    reply_ids bigint[] DEFAULT NULL, mention_lists text[] DEFAULT NULL
) RETURNS TABLE (
    place bigint, verdict text, seq bigint, kind text, message_id bigint, text text, created_at timestamptz,
    is_edited boolean, is_deleted boolean, data text, reply_to bigint, mentions text,
    author_id bigint, author_login text, author_first_name text, author_last_name text, author_display_name text,
    reactions text
) LANGUAGE plpgsql VOLATILE
SET lock_timeout = '500ms'
-- A connection keeps the plans it made when the tables were small; reading the whole log for each batch was one of them.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
-- To plan anew for each call, which the number of events makes look worth while, was two thirds of what a call costs.
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    held bigint[];             -- chats that are locked now
    has_rules boolean;         -- whether any of them is frozen or in slow mode
    refused text[] := '{}';    -- what these rules refuse, by place
    seconds bigint;            -- the time, in Unix seconds
    wait_ms bigint;
    verdicts text[] := '{}';   -- of edits, deletions and reactions, and of replies without a target; by place
    tallies text[] := '{}';    -- the counts after each reaction, by place
    reacted record;
    quotes text[] := '{}';     -- what replies show of their targets, by place
    mentioned text[] := '{}';  -- the members that messages mention, by place
    stored_at timestamptz;
    change record;
    target record;
BEGIN
    -- In id order, so that two nodes with the same chats cannot deadlock. NO KEY: foreign keys may still be checked.
    IF patient THEN
        SELECT array_agg(l.id), bool_or(l.has_rules) INTO held, has_rules FROM (
            SELECT c.id, c.is_frozen OR c.slow_mode_s > 0 AS has_rules FROM chats c
            WHERE c.id = ANY (chat_ids) AND NOT c.is_removed ORDER BY c.id FOR NO KEY UPDATE) l;
    ELSE
        SELECT array_agg(l.id), bool_or(l.has_rules) INTO held, has_rules FROM (
            SELECT c.id, c.is_frozen OR c.slow_mode_s > 0 AS has_rules FROM chats c
            WHERE c.id = ANY (chat_ids) AND NOT c.is_removed ORDER BY c.id FOR NO KEY UPDATE SKIP LOCKED) l;
    END IF;
    held := coalesce(held, '{}');
    stored_at := clock_timestamp();  -- under the lock, so that times rise with seq; now() is from before the wait

    seconds := extract(epoch FROM stored_at)::bigint;
    -- Of members whom the rules of their chat concern, one after the other: each sees when the one before was sent.
    IF has_rules THEN
        FOR change IN
            SELECT r.chat_id, r.sender_id, r.kind, r.place, c.is_frozen, c.slow_mode_s,
                m.role = 'reader' OR m.muted_until > seconds OR m.is_blocked AS is_silent
            FROM unnest(chat_ids, sender_ids, client_msg_ids, kinds) WITH ORDINALITY
                AS r (chat_id, sender_id, client_msg_id, kind, place)
            JOIN chats c ON c.id = r.chat_id
            JOIN memberships m ON m.chat_id = r.chat_id AND m.user_id = r.sender_id
            WHERE r.chat_id = ANY (held) AND (c.is_frozen OR c.slow_mode_s > 0) AND r.sender_id <> 0
                AND m.role <> 'moderator' AND (c.kind = 'direct' OR c.creator_id <> r.sender_id)
                AND NOT EXISTS (SELECT FROM chat_log e WHERE e.chat_id = r.chat_id AND e.sender_id = r.sender_id
                    AND e.client_msg_id = r.client_msg_id)
            ORDER BY r.place
        LOOP
            IF change.is_frozen THEN
                refused[change.place] := 'chat_frozen';
            ELSIF change.kind = 'message' AND NOT change.is_silent THEN
                SELECT m.last_sent_at + change.slow_mode_s * 1000 - (extract(epoch FROM stored_at) * 1000)::bigint
                    INTO wait_ms FROM memberships m WHERE m.chat_id = change.chat_id AND m.user_id = change.sender_id;
                IF wait_ms > 0 THEN
                    refused[change.place] := 'slow_mode ' || ceil(wait_ms / 1000.0);  -- read by commit_postgres
                ELSE
                    UPDATE memberships m SET last_sent_at = (extract(epoch FROM stored_at) * 1000)::bigint
                        WHERE m.chat_id = change.chat_id AND m.user_id = change.sender_id;
                END IF;
            END IF;
        END LOOP;
    END IF;

    -- Edits, deletions and reactions, one after the other: each must see what the one before did to the same message.
    IF NOT kinds <@ ARRAY['message'] THEN
        FOR change IN
            SELECT r.*, m.role
            FROM unnest(chat_ids, sender_ids, client_msg_ids, kinds, message_ids, texts, datas) WITH ORDINALITY
                AS r (chat_id, sender_id, client_msg_id, kind, message_id, text, data, place)
            LEFT JOIN memberships m ON m.chat_id = r.chat_id AND m.user_id = r.sender_id
            WHERE r.kind <> 'message' AND (m.user_id IS NOT NULL OR r.sender_id = 0) AND refused[r.place] IS NULL
            AND (r.kind = 'delete' OR r.kind = 'reaction' AND left(r.text, 1) = '-' OR (m.role = 'reader' OR m.muted_until > seconds OR m.is_blocked) IS NOT TRUE)
            AND r.chat_id = ANY (held) AND NOT EXISTS (
                SELECT FROM chat_log e
                WHERE e.chat_id = r.chat_id AND e.sender_id = r.sender_id AND e.client_msg_id = r.client_msg_id)
            ORDER BY r.place
        LOOP
            SELECT e.sender_id, e.seq, e.is_deleted, e.edit_count, e.reactions, e.reply_count, e.mentions
                INTO target FROM chat_log e
                WHERE e.id = change.message_id AND e.chat_id = change.chat_id AND e.kind = 'message';
            IF NOT FOUND OR target.is_deleted THEN
                verdicts[change.place] := 'no_such_message';
            ELSIF change.kind = 'reaction' THEN
                reacted := chat_log_react(
                    change.chat_id, change.message_id, change.sender_id, change.text, target.reactions);
                verdicts[change.place] := reacted.verdict;
                tallies[change.place] := reacted.counts;
            ELSIF target.sender_id <> change.sender_id AND change.sender_id <> 0 AND NOT (
                change.kind = 'delete' AND (change.role = 'moderator' OR EXISTS (
                    SELECT FROM chats c
                    WHERE c.id = change.chat_id AND c.kind <> 'direct' AND c.creator_id = change.sender_id))) THEN
                verdicts[change.place] := 'not_the_author';
            ELSIF change.kind = 'edit' AND target.edit_count >= 100 THEN  -- storage.log.commit.MAX_EDITS
                verdicts[change.place] := 'edit_limit';
            ELSE
                verdicts[change.place] := 'created';
                UPDATE chat_log e SET text = CASE WHEN change.kind = 'delete' THEN '' ELSE change.text END,
                    data = CASE WHEN change.kind = 'edit' THEN coalesce(change.data, e.data) END,
                    mentions = CASE WHEN change.kind = 'edit' THEN e.mentions END,
                    is_edited = e.is_edited OR change.kind = 'edit', is_deleted = change.kind = 'delete',
                    edit_count = e.edit_count + (change.kind = 'edit')::int,
                    reactions = CASE WHEN change.kind = 'edit' THEN e.reactions END
                    WHERE e.id = change.message_id;
                IF change.kind = 'delete' AND target.reactions IS NOT NULL THEN
                    DELETE FROM reactions r WHERE r.message_id = change.message_id;
                END IF;
                IF change.kind = 'delete' AND target.reply_count > 0 THEN
                    UPDATE replies r SET text = '' WHERE r.message_id IN (
                        SELECT o.message_id FROM replies o WHERE o.target_id = change.message_id ORDER BY o.seq LIMIT 1000);
                END IF;
                IF change.kind = 'delete' AND target.mentions IS NOT NULL THEN
                    DELETE FROM mentions d WHERE d.user_id = ANY (translate(target.mentions, '[]', '{}')::bigint[])
                        AND d.chat_id = change.chat_id AND d.seq = target.seq;
                END IF;
            END IF;
        END LOOP;
    END IF;

    -- What new messages refer to.
    IF reply_ids IS NOT NULL OR mention_lists IS NOT NULL THEN
        FOR change IN
            SELECT r.* FROM unnest(chat_ids, sender_ids, client_msg_ids, kinds, reply_ids, mention_lists) WITH ORDINALITY
                AS r (chat_id, sender_id, client_msg_id, kind, reply_id, mention_list, place)
            WHERE r.kind = 'message' AND r.chat_id = ANY (held) AND num_nonnulls(r.reply_id, r.mention_list) > 0
                AND NOT EXISTS (
                    SELECT FROM chat_log e
                    WHERE e.chat_id = r.chat_id AND e.sender_id = r.sender_id AND e.client_msg_id = r.client_msg_id)
        LOOP
            IF change.reply_id IS NOT NULL THEN
                SELECT e.text, e.reply_count INTO target FROM chat_log e
                    WHERE e.id = change.reply_id AND e.chat_id = change.chat_id AND e.kind = 'message';
                IF NOT FOUND THEN
                    verdicts[change.place] := 'no_such_target';
                ELSIF target.reply_count < 1000 THEN  -- storage.log.commit.SNAPSHOTS, and QUOTED
                    quotes[change.place] := left(target.text, 120);
                END IF;
            END IF;
            IF change.mention_list IS NOT NULL THEN
                mentioned[change.place] := '[' || string_agg(m.user_id::text, ',' ORDER BY m.user_id) || ']'
                    FROM memberships m
                    WHERE m.chat_id = change.chat_id AND m.user_id = ANY (change.mention_list::bigint[]);
            END IF;
        END LOOP;
    END IF;

    RETURN QUERY
    WITH events AS (
        SELECT r.*, m.user_id IS NOT NULL OR r.sender_id = 0 AS is_member, r.chat_id = ANY (held) AS is_held,
            m.role, m.muted_until, m.is_blocked,
            r.kind = 'delete' OR r.kind = 'reaction' AND left(r.text, 1) = '-' AS withdraws,
            e.id AS known_id, e.digest AS known_digest, e.seq AS known_seq, e.message_id AS known_message_id
        FROM unnest(chat_ids, sender_ids, client_msg_ids, kinds, message_ids, digests, texts, datas) WITH ORDINALITY
            AS r (chat_id, sender_id, client_msg_id, kind, message_id, digest, text, data, place)
        LEFT JOIN memberships m ON m.chat_id = r.chat_id AND m.user_id = r.sender_id
        LEFT JOIN chat_log e
            ON e.chat_id = r.chat_id AND e.sender_id = r.sender_id AND e.client_msg_id = r.client_msg_id
    ), judged AS (
        SELECT v.*, CASE
            WHEN NOT v.is_held AND NOT patient THEN 'busy'
            WHEN NOT v.is_held OR NOT v.is_member THEN 'not_a_member'
            WHEN v.known_digest = v.digest THEN 'duplicate'
            WHEN v.known_id IS NOT NULL THEN 'id_reused'
            WHEN NOT v.withdraws AND v.is_blocked THEN 'blocked'
            WHEN NOT v.withdraws AND v.role = 'reader' THEN 'reader'
            WHEN NOT v.withdraws AND v.muted_until > seconds THEN 'muted'
            WHEN refused[v.place] IS NOT NULL THEN refused[v.place]
            WHEN v.kind = 'message' THEN coalesce(verdicts[v.place], 'created')
            ELSE verdicts[v.place] END AS verdict
        FROM events v
    ), numbered AS MATERIALIZED (
        SELECT j.*, CASE WHEN j.verdict = 'created' THEN nextval('chat_log_id_seq') END AS id,
            c.last_seq + count(*) FILTER (WHERE j.verdict = 'created') OVER (
                PARTITION BY j.chat_id ORDER BY j.place ROWS UNBOUNDED PRECEDING) AS new_seq
        FROM judged j LEFT JOIN chats c ON c.id = j.chat_id
    ), inserted AS (
        INSERT INTO chat_log (id, chat_id, seq, kind, message_id, sender_id, client_msg_id, digest, text,
            data, reply_to, mentions, is_edited, is_deleted, created_at, reaction, reactions)
        SELECT n.id, n.chat_id, n.new_seq, n.kind, coalesce(n.message_id, n.id), n.sender_id, n.client_msg_id, n.digest,
            CASE WHEN n.kind = 'message' THEN n.text ELSE '' END,
            CASE WHEN n.kind = 'message' THEN n.data END, reply_ids[n.place], mentioned[n.place],
            false, false, stored_at,
            CASE WHEN n.kind = 'reaction' THEN n.text END, tallies[n.place]
        FROM numbered n WHERE n.verdict = 'created'
    ), moved AS (
        -- No index has these columns: with one, the update would no longer stay within its page (HOT).
        UPDATE chats c SET last_seq = n.seq, last_message_id = coalesce(n.message_id, c.last_message_id),
            last_activity = CASE WHEN n.message_id IS NULL THEN c.last_activity
                ELSE (extract(epoch FROM stored_at) * 1000000)::bigint END
        FROM (SELECT chat_id, max(new_seq) AS seq, max(id) FILTER (WHERE kind = 'message') AS message_id
            FROM numbered WHERE verdict = 'created' GROUP BY chat_id) n
        WHERE c.id = n.chat_id
    )
    SELECT n.place, n.verdict, coalesce(n.known_seq, n.new_seq), n.kind, coalesce(n.known_message_id, n.message_id, n.id),
        CASE WHEN n.verdict = 'duplicate' THEN m.text END,  -- what was stored now is known to the caller
        coalesce(m.created_at, stored_at), coalesce(m.is_edited, false), coalesce(m.is_deleted, false),
        m.data, coalesce(m.reply_to, reply_ids[n.place]), coalesce(m.mentions, mentioned[n.place]),
        a.id, a.login::text, a.first_name, a.last_name, a.display_name, m.reactions
    FROM numbered n LEFT JOIN chat_log m ON m.id = coalesce(n.known_message_id, n.message_id)
    LEFT JOIN users a ON a.id = nullif(m.sender_id, n.sender_id)
    ORDER BY n.place;

    -- Of each event that is in the log now; one that was there before has its rows.
    IF reply_ids IS NOT NULL THEN
        WITH fresh AS (
            INSERT INTO replies AS r (message_id, target_id, seq, text)
            SELECT e.id, e.reply_to, e.seq, quotes[n.place]
            FROM unnest(chat_ids, sender_ids, client_msg_ids) WITH ORDINALITY AS n (chat_id, sender_id, client_msg_id, place)
            JOIN chat_log e ON e.chat_id = n.chat_id AND e.sender_id = n.sender_id AND e.client_msg_id = n.client_msg_id
            WHERE e.kind = 'message' AND e.reply_to IS NOT NULL
            ON CONFLICT DO NOTHING
            RETURNING r.target_id
        )
        UPDATE chat_log t SET reply_count = t.reply_count + f.replies
        FROM (SELECT target_id, count(*) AS replies FROM fresh GROUP BY target_id) f WHERE t.id = f.target_id;
    END IF;
    IF mention_lists IS NOT NULL THEN
        INSERT INTO mentions AS m (user_id, chat_id, seq)
        SELECT u.user_id, e.chat_id, e.seq
        FROM unnest(chat_ids, sender_ids, client_msg_ids, mentioned) WITH ORDINALITY
            AS n (chat_id, sender_id, client_msg_id, members, place)
        JOIN chat_log e ON e.chat_id = n.chat_id AND e.sender_id = n.sender_id AND e.client_msg_id = n.client_msg_id
        CROSS JOIN LATERAL unnest(translate(n.members, '[]', '{}')::bigint[]) AS u (user_id)
        WHERE u.user_id <> e.sender_id
        ON CONFLICT DO NOTHING;
    END IF;
END
$$;
