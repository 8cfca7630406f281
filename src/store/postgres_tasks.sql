-- SPDX-License-Identifier: Apache-2.0
-- Version 3: tasks, what is done again and again. Who takes one makes it due again for when its
-- lease is over, so that a taker that dies is followed by another.

CREATE TABLE task (
    name text PRIMARY KEY, due_ms bigint NOT NULL, epoch bigint NOT NULL DEFAULT 0,
    ran_ms bigint NOT NULL DEFAULT 0, note text NOT NULL DEFAULT ''
) WITH (fillfactor = 70);
CREATE INDEX task_due ON task (due_ms, name);

-- One element of each array for one task, in one order of names.
CREATE FUNCTION plan_tasks(host_ms bigint, names text[], due bigint[], latest bigint[])
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    shift bigint := clock_ms(host_ms) - host_ms;
    i int;
BEGIN
    FOR i IN SELECT k FROM generate_subscripts(names, 1) AS k ORDER BY names[k] COLLATE "C" LOOP
        INSERT INTO task (name, due_ms) VALUES (names[i], due[i] + shift)
            ON CONFLICT (name) DO UPDATE SET due_ms = latest[i] + shift
            WHERE task.due_ms > latest[i] + shift;
    END LOOP;
END $$;

-- of_name NULL: none is due, and wait_ms says in how long one will be (NULL: there is none).
CREATE FUNCTION take_task(host_ms bigint, wanted text, lease bigint, OUT of_name text, OUT of_epoch bigint,
                          OUT of_ran bigint, OUT of_note text, OUT wait_ms bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := clock_ms(host_ms);
BEGIN
    SELECT name, CASE ran_ms WHEN 0 THEN 0 ELSE ran_ms - now_ms + host_ms END, note
        INTO of_name, of_ran, of_note FROM task
        WHERE due_ms <= now_ms AND (wanted = '' OR name = wanted) ORDER BY due_ms, name LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
        UPDATE task SET due_ms = now_ms + lease, epoch = epoch + 1 WHERE name = of_name
            RETURNING epoch INTO of_epoch;
        RETURN;
    END IF;
    SELECT min(due_ms) - now_ms INTO wait_ms FROM task
        WHERE due_ms > now_ms AND (wanted = '' OR name = wanted);
END $$;

CREATE FUNCTION get_task(host_ms bigint, of_name text, OUT name text, OUT due_ms bigint,
                         OUT epoch bigint, OUT ran_ms bigint, OUT note text)
    RETURNS SETOF record LANGUAGE sql AS $$
    SELECT t.name, t.due_ms - s, t.epoch, CASE t.ran_ms WHEN 0 THEN 0 ELSE t.ran_ms - s END, t.note
        FROM task t, (SELECT clock_ms(host_ms) - host_ms AS s) AS shift WHERE t.name = of_name
$$;

-- due 0 forgets the task. False: it is another's.
CREATE FUNCTION end_task(host_ms bigint, of_name text, of_epoch bigint, due bigint, failed bool,
                         of_note text, with_note bool) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := clock_ms(host_ms);
BEGIN
    IF due = 0 THEN
        DELETE FROM task WHERE name = of_name AND epoch = of_epoch;
    ELSE
        UPDATE task SET due_ms = due - host_ms + now_ms,
            ran_ms = CASE WHEN failed THEN ran_ms ELSE now_ms END,
            note = CASE WHEN with_note THEN of_note ELSE note END
            WHERE name = of_name AND epoch = of_epoch;
    END IF;
    RETURN FOUND;
END $$;

CREATE FUNCTION worker_rights_tasks(role_name name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON task TO %I', role_name);
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
UPDATE meta SET version = 3;
