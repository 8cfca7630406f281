-- SPDX-License-Identifier: Apache-2.0
-- Version 6: notes by key, what guards remember.

CREATE TABLE note (
    key text PRIMARY KEY, body text NOT NULL, expires_ms bigint NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX note_key ON note (key COLLATE "C");
CREATE INDEX note_expires ON note (expires_ms) WHERE expires_ms > 0;

-- An empty body forgets it. With a kind the change is a record.
CREATE FUNCTION set_note(host_ms bigint, of_key text, of_body text, expires bigint, kind text,
                         record_body text, cut text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := clock_ms(host_ms);
BEGIN
    DELETE FROM note WHERE key IN (SELECT key FROM note WHERE expires_ms > 0
        AND expires_ms <= now_ms ORDER BY key LIMIT 100 FOR UPDATE SKIP LOCKED);
    IF of_body = '' THEN
        DELETE FROM note WHERE key = of_key;
    ELSE
        INSERT INTO note (key, body, expires_ms)
            VALUES (of_key, of_body, CASE expires WHEN 0 THEN 0 ELSE expires - host_ms + now_ms END)
            ON CONFLICT (key) DO UPDATE SET body = excluded.body, expires_ms = excluded.expires_ms;
    END IF;
    IF kind <> '' THEN
        PERFORM write_record(host_ms, kind, record_body, cut);
    END IF;
END $$;

CREATE FUNCTION get_notes(host_ms bigint, keys text[], OUT key text, OUT body text,
                          OUT expires_ms bigint) RETURNS SETOF record LANGUAGE sql AS $$
    SELECT k, coalesce(n.body, ''), coalesce(n.expires_ms, 0) FROM unnest(keys) WITH ORDINALITY
        AS wanted(k, at) LEFT JOIN note n ON n.key = k
        AND (n.expires_ms = 0 OR n.expires_ms > clock_ms(host_ms)) ORDER BY at
$$;

CREATE FUNCTION list_notes(host_ms bigint, prefix text, most bigint, OUT key text, OUT body text,
                           OUT expires_ms bigint) RETURNS SETOF record LANGUAGE sql AS $$
    SELECT n.key, n.body, n.expires_ms FROM note n WHERE n.key COLLATE "C" >= prefix
        AND starts_with(n.key, prefix)
        AND (n.expires_ms = 0 OR n.expires_ms > clock_ms(host_ms))
        ORDER BY n.key COLLATE "C" LIMIT most
$$;

CREATE FUNCTION worker_rights_notes(role_name name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON note TO %I', role_name);
END $$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA rectify FROM PUBLIC;
-- Who works already goes on.
DO $$
DECLARE
    worker name;
BEGIN
    FOR worker IN SELECT DISTINCT grantee FROM information_schema.role_table_grants
                  WHERE table_schema = 'rectify' AND table_name = 'leaf'
                  AND privilege_type = 'DELETE' AND grantee NOT IN ('PUBLIC', current_user) LOOP
        PERFORM rectify.grant_worker(worker);
    END LOOP;
END $$;
UPDATE meta SET version = 6;
