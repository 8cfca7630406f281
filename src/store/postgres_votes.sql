-- SPDX-License-Identifier: Apache-2.0
-- Version 5: a question has a name of its own (ask), is asked on channels (via), needs so many
-- people, and gathers votes, a list of {person, identity, channel, yes, reason, at}. It is good
-- only in the database in which it was asked: `place` is another after a restore.

ALTER TABLE approval ADD COLUMN ask text NOT NULL DEFAULT '';
ALTER TABLE approval ADD COLUMN need int NOT NULL DEFAULT 1;
ALTER TABLE approval ADD COLUMN via text NOT NULL DEFAULT '';
ALTER TABLE approval ADD COLUMN votes jsonb NOT NULL DEFAULT '[]';
ALTER TABLE approval ADD COLUMN place text NOT NULL DEFAULT '';
CREATE TABLE policy_seen (name text PRIMARY KEY, hash text NOT NULL);

-- Which cluster, on which timeline, which database, which table: what a restored copy has not.
CREATE FUNCTION place() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT (SELECT system_identifier FROM pg_control_system()) || '/'
        || (SELECT timeline_id FROM pg_control_checkpoint()) || '/'
        || (SELECT oid FROM pg_database WHERE datname = current_database()) || '/'
        || 'rectify.approval'::regclass::oid
$$;

CREATE OR REPLACE FUNCTION is_approved(now_ms bigint, of_id bigint, hash text) RETURNS bool
    LANGUAGE plpgsql AS $$
DECLARE
    a approval;
BEGIN
    SELECT * INTO a FROM approval WHERE remediation = of_id FOR UPDATE;
    RETURN FOUND AND NOT is_over(now_ms, a.expires_ms) AND a.decided AND a.yes AND NOT a.consumed
        AND a.plan_hash = hash AND (a.place = '' OR a.place = place());
END $$;

CREATE OR REPLACE FUNCTION ask(now_ms bigint, of_id bigint, hash text, expires bigint, due bigint)
    RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    a approval;
BEGIN
    SELECT * INTO a FROM approval WHERE remediation = of_id FOR UPDATE;
    IF FOUND AND NOT a.consumed AND NOT is_over(now_ms, a.expires_ms)
       AND (hash = '' OR hash = a.plan_hash) THEN
        RETURN CASE WHEN a.decided THEN least(due, now_ms) ELSE due END;
    END IF;
    IF hash <> '' THEN
        INSERT INTO approval (remediation, plan_hash, asked_ms, expires_ms, place)
            VALUES (of_id, hash, now_ms, expires, place())
            ON CONFLICT (remediation) DO UPDATE SET plan_hash = hash, asked_ms = now_ms,
                expires_ms = expires, decided = false, yes = false, by_whom = '', reason = '',
                consumed = false, ask = '', need = 1, via = '', votes = '[]', place = place();
    END IF;
    RETURN due;
END $$;

-- The rest of a question that was opened just now.
CREATE FUNCTION ask_more(of_id bigint, of_ask text, of_need int, of_via text) RETURNS void
    LANGUAGE sql AS $$
    UPDATE approval SET ask = of_ask, need = of_need, via = of_via
        WHERE remediation = of_id AND ask = '' AND NOT decided
$$;

DROP FUNCTION vote(bigint, bigint, text, bool, text, text, text, text, text);
-- result: as enum store_result.
CREATE FUNCTION vote(host_ms bigint, of_id bigint, hash text, of_ask text, is_yes bool,
                     by_person text, by_identity text, on_channel text, why text, leaf_why text,
                     body text, cut text, OUT result int, OUT is_decided bool)
    LANGUAGE plpgsql AS $$
DECLARE
    ok CONSTANT int := 0; conflict CONSTANT int := 1; void CONSTANT int := 4;
    absent CONSTANT int := 5;
    now_ms bigint := clock_ms(host_ms);
    r remediation;
    a approval;
BEGIN
    is_decided := false;
    result := absent;
    SELECT * INTO r FROM remediation WHERE id = of_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT * INTO a FROM approval WHERE remediation = of_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF a.plan_hash <> hash OR (of_ask <> '' AND of_ask <> a.ask)
       OR (a.place <> '' AND a.place <> place()) THEN
        result := void;
        RETURN;
    ELSIF a.decided THEN
        result := conflict;
        RETURN;
    ELSIF a.consumed OR is_over(now_ms, a.expires_ms) OR NOT r.active THEN
        result := void;
        RETURN;
    ELSIF EXISTS (SELECT FROM jsonb_array_elements(a.votes) AS v
                  WHERE v ->> 'person' = by_person) THEN
        result := conflict;
        RETURN;
    END IF;
    result := ok;
    is_decided := NOT is_yes OR jsonb_array_length(a.votes) + 1 >= a.need;
    UPDATE approval SET decided = is_decided, yes = is_yes AND is_decided, reason = why,
        by_whom = CASE WHEN is_yes AND by_whom <> '' THEN by_whom || ', ' || by_person
                       ELSE by_person END,
        votes = votes || jsonb_build_object('at', now_ms, 'channel', on_channel, 'identity',
                                            by_identity, 'person', by_person, 'reason', leaf_why,
                                            'yes', is_yes)
        WHERE remediation = of_id;
    IF is_decided THEN
        UPDATE remediation SET due_ms = least(due_ms, now_ms), updated_ms = now_ms
            WHERE id = of_id;
    END IF;
    PERFORM write_leaf(now_ms, body, cut, 'vote', of_id, r.policy, r.resource, leaf_why, r.state, 0,
                       r.version, NULL);
END $$;

CREATE FUNCTION void_approval(host_ms bigint, of_id bigint, of_ask text, why text, body text,
                              cut text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := clock_ms(host_ms);
    r remediation;
BEGIN
    SELECT * INTO r FROM remediation WHERE id = of_id FOR UPDATE;
    UPDATE approval SET consumed = true WHERE remediation = of_id AND ask = of_ask
        AND NOT consumed;
    IF NOT FOUND THEN
        RETURN 5;
    END IF;
    UPDATE remediation SET due_ms = least(due_ms, now_ms) WHERE id = of_id AND active;
    PERFORM write_leaf(now_ms, body, cut, 'approval void', of_id, r.policy, r.resource, why,
                       r.state, 0, r.version, NULL);
    RETURN 0;
END $$;

CREATE FUNCTION see_policies(host_ms bigint, names text[], hashes text[]) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := clock_ms(host_ms);
    changed text[];
    ids bigint[];
BEGIN
    SELECT array_agg(n ORDER BY n) INTO changed FROM unnest(names, hashes) AS g (n, h)
        WHERE NOT EXISTS (SELECT FROM policy_seen s WHERE s.name = g.n AND s.hash = g.h);
    IF changed IS NULL THEN
        RETURN 0;
    END IF;
    INSERT INTO policy_seen SELECT n, h FROM unnest(names, hashes) AS g (n, h)
        WHERE n = ANY (changed) ORDER BY n ON CONFLICT (name) DO UPDATE SET hash = excluded.hash;
    SELECT array_agg(id) INTO ids FROM (SELECT r.id FROM remediation r WHERE r.active
        AND r.policy = ANY (changed) ORDER BY r.id FOR UPDATE) AS locked;
    WITH gone AS (
        UPDATE approval SET consumed = true WHERE remediation = ANY (ids) AND NOT consumed
        RETURNING remediation
    )
    SELECT array_agg(remediation) INTO ids FROM gone;
    UPDATE remediation SET due_ms = least(due_ms, now_ms) WHERE id = ANY (ids)
        AND state = 'asking';
    RETURN coalesce(array_length(ids, 1), 0);
END $$;

CREATE FUNCTION worker_rights_votes(role_name name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('GRANT INSERT, UPDATE ON policy_seen TO %I', role_name);
END $$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA rectify FROM PUBLIC;
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
UPDATE meta SET version = 5;
