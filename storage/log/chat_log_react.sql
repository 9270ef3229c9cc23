-- Add or remove one reaction, for `chat_log_commit`, which holds the lock of the chat and has checked the message and
-- the sender.
--
-- `change` is '+' or '-' and the key; `before` the JSON object of the message's counts, or NULL for none.
-- `counts` is the object as it is now, also if nothing has changed.
CREATE OR REPLACE FUNCTION chat_log_react(
    chat bigint, message bigint, reactor bigint, change text, before text, OUT verdict text, OUT counts text
) LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    name text := substr(change, 2);
    tally jsonb := coalesce(before, '{}')::jsonb;
    others bigint := coalesce((tally ->> name)::bigint, 0);
    own text[] := ARRAY(SELECT r.key FROM reactions r WHERE r.message_id = message AND r.user_id = reactor);
    is_removal boolean := left(change, 1) = '-';
BEGIN
    counts := tally::text;
    IF is_removal <> (name = ANY (own)) THEN
        verdict := 'unchanged';
    ELSIF is_removal THEN
        verdict := 'created';
        DELETE FROM reactions r WHERE r.message_id = message AND r.user_id = reactor AND r.key = name;
        tally := CASE WHEN others > 1 THEN tally || jsonb_build_object(name, others - 1) ELSE tally - name END;
    ELSIF cardinality(own) >= 5 OR others = 0 AND (SELECT count(*) FROM jsonb_object_keys(tally)) >= 20 THEN
        verdict := 'reaction_limit';  -- storage.reaction_records
    ELSE
        verdict := 'created';
        INSERT INTO reactions (chat_id, message_id, user_id, key) VALUES (chat, message, reactor, name);
        tally := tally || jsonb_build_object(name, others + 1);
    END IF;
    IF verdict = 'created' THEN
        counts := tally::text;
        UPDATE chat_log e SET reactions = nullif(counts, '{}') WHERE e.id = message;
    END IF;
END
$$;
