-- SPDX-License-Identifier: Apache-2.0
-- Version 2: the outbox. Notices wait by channel, and a channel is one sender's at a time. Within a
-- thread no notice is due before an earlier one. due_ms is NULL exactly in ended ones.

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, remediation bigint NOT NULL,
    channel text NOT NULL, kind text NOT NULL, thread text NOT NULL, body text NOT NULL,
    created_ms bigint NOT NULL, due_ms bigint, attempts int NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'waits', reference text NOT NULL DEFAULT '',
    error text NOT NULL DEFAULT '', ended_ms bigint
) WITH (fillfactor = 70);
CREATE INDEX outbox_due ON outbox (channel, due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX outbox_thread ON outbox (thread, channel) WHERE thread <> '';
CREATE INDEX outbox_ended ON outbox (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE INDEX outbox_remediation ON outbox (remediation);

CREATE TABLE channel (
    name text PRIMARY KEY, free_ms bigint NOT NULL DEFAULT 0, epoch bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- One element of each array for one notice. Channels are locked in one order.
CREATE FUNCTION tell(host_ms bigint, of_id bigint, channels text[], kinds text[], threads text[],
                     bodies text[], due bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := clock_ms(host_ms);
    at bigint;
BEGIN
    INSERT INTO channel (name) SELECT DISTINCT c FROM unnest(channels) AS c ORDER BY c
        ON CONFLICT DO NOTHING;
    FOR i IN 1 .. coalesce(array_length(channels, 1), 0) LOOP
        at := greatest(now_ms, due[i] - host_ms + now_ms);
        UPDATE outbox SET due_ms = least(due_ms, at) WHERE thread = threads[i] AND thread <> ''
            AND channel = channels[i] AND due_ms IS NOT NULL;
        INSERT INTO outbox (remediation, channel, kind, thread, body, created_ms, due_ms)
            VALUES (of_id, channels[i], kinds[i], threads[i], bodies[i], now_ms, at);
    END LOOP;
END $$;

-- The channel that has waited longest among those that may send now. of_channel NULL: there is
-- none, and wait_ms says in how long there will be one (NULL: nothing waits).
CREATE FUNCTION take_channel(host_ms bigint, lease bigint, OUT of_channel text,
                             OUT of_epoch bigint, OUT wait_ms bigint) LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := clock_ms(host_ms);
BEGIN
    SELECT c.name INTO of_channel FROM channel c
        CROSS JOIN LATERAL (SELECT min(o.due_ms) AS due FROM outbox o
                            WHERE o.channel = c.name AND o.due_ms IS NOT NULL) AS w
        WHERE c.free_ms <= now_ms AND w.due <= now_ms
        ORDER BY w.due LIMIT 1 FOR UPDATE OF c SKIP LOCKED;
    IF FOUND THEN
        UPDATE channel SET free_ms = now_ms + lease, epoch = epoch + 1 WHERE name = of_channel
            RETURNING epoch INTO of_epoch;
        RETURN;
    END IF;
    SELECT min(greatest(c.free_ms, w.due, now_ms)) - now_ms INTO wait_ms FROM channel c
        CROSS JOIN LATERAL (SELECT min(o.due_ms) AS due FROM outbox o
                            WHERE o.channel = c.name AND o.due_ms IS NOT NULL) AS w
        WHERE w.due IS NOT NULL;
END $$;

-- Gives the channel back. states: 0 waits, 1 sent, 2 given up. False: it is another's.
CREATE FUNCTION give_notices(host_ms bigint, of_channel text, of_epoch bigint, free bigint,
                             ids bigint[], states int[], due bigint[], failed int[],
                             reference_ text[], errors text[], leaf_bodies text[], cuts text[])
    RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := clock_ms(host_ms);
BEGIN
    UPDATE channel SET free_ms = free - host_ms + now_ms
        WHERE name = of_channel AND epoch = of_epoch;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    FOR i IN 1 .. coalesce(array_length(ids, 1), 0) LOOP
        UPDATE outbox SET attempts = attempts + failed[i], error = errors[i],
            reference = CASE reference_[i] WHEN '' THEN reference ELSE reference_[i] END,
            state = (ARRAY['waits', 'sent', 'given up'])[states[i] + 1],
            due_ms = CASE states[i] WHEN 0 THEN due[i] - host_ms + now_ms END,
            ended_ms = CASE WHEN states[i] <> 0 THEN now_ms END WHERE id = ids[i];
        IF states[i] <> 0 THEN
            PERFORM write_leaf(now_ms, leaf_bodies[i], cuts[i], 'notice', NULL, NULL, NULL, NULL,
                               NULL, 0, 0, NULL);
        ELSE
            UPDATE outbox o SET due_ms = greatest(o.due_ms, p.due_ms) FROM outbox p
                WHERE p.id = ids[i] AND o.id > p.id AND o.thread = p.thread AND p.thread <> ''
                AND o.channel = p.channel AND o.due_ms IS NOT NULL;
        END IF;
    END LOOP;
    RETURN true;
END $$;

CREATE FUNCTION purge_outbox(host_ms bigint, forget_ms bigint) RETURNS void LANGUAGE sql AS $$
    DELETE FROM outbox WHERE id IN (SELECT id FROM outbox
        WHERE ended_ms < clock_ms(host_ms) - forget_ms ORDER BY ended_ms LIMIT 10000)
$$;

-- Rights: grant_worker() calls what each version brings, functions named worker_rights_*.
ALTER FUNCTION grant_worker(name) RENAME TO worker_rights_base;
CREATE FUNCTION worker_rights_outbox(role_name name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON outbox TO %I', role_name);
    EXECUTE format('GRANT INSERT, UPDATE ON channel TO %I', role_name);
END $$;
CREATE FUNCTION grant_worker(role_name name) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    part name;
BEGIN
    FOR part IN SELECT proname FROM pg_proc WHERE pronamespace = 'rectify'::regnamespace
                AND proname LIKE 'worker\_rights\_%' ORDER BY proname LOOP
        EXECUTE format('SELECT rectify.%I($1)', part) USING role_name;
    END LOOP;
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
UPDATE meta SET version = 2;
