-- SPDX-License-Identifier: Apache-2.0
-- From version 3 to 4: permits, results and breakers are kept by key (model/permit.h), and a policy
-- has a state: paused or not, how far its rollout is, who belongs to its cohort.
--
-- Who takes several keys takes them in the order of their bytes, then the policy's row: so two that
-- meet wait for each other and never in a circle.

DROP FUNCTION advance(bigint, bool, bigint, bigint, bigint, int[], text[], int[], bigint[], text[],
                      text[], text[], text[], bigint[], int[], int[], text[], text[], bigint[],
                      int[], text[]);
DROP FUNCTION is_limited(bigint, text, int, int);
DROP FUNCTION breaker_begin(bigint, text);
DROP FUNCTION breaker_end(bigint, text, bigint, bigint, bigint, text, text);

ALTER TABLE begun RENAME COLUMN policy TO key;
UPDATE begun SET key = 'policy ' || key;

ALTER TABLE permit DROP CONSTRAINT permit_pkey;
ALTER TABLE permit RENAME COLUMN policy TO key;
UPDATE permit SET key = 'policy ' || key;
ALTER TABLE permit ADD COLUMN unit text NOT NULL DEFAULT '',
    ADD COLUMN probe bool NOT NULL DEFAULT false, ADD COLUMN in_a_row int NOT NULL DEFAULT 0,
    ADD COLUMN percent int NOT NULL DEFAULT 0, ADD COLUMN share_of int NOT NULL DEFAULT 0,
    ADD COLUMN window_ms bigint NOT NULL DEFAULT 0, ADD COLUMN open_ms bigint NOT NULL DEFAULT 0,
    ADD PRIMARY KEY (remediation, key);

CREATE TABLE breaker (
    key text PRIMARY KEY, opened_ms bigint NOT NULL DEFAULT 0,
    open_for_ms bigint NOT NULL DEFAULT 0, tripped_ms bigint NOT NULL DEFAULT 0, probes_good int NOT NULL DEFAULT 0,
    probes_bad int NOT NULL DEFAULT 0, slow_until_ms bigint NOT NULL DEFAULT 0,
    results_after bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO breaker (key, opened_ms, open_for_ms, tripped_ms, results_after)
    SELECT 'policy ' || name, opened_ms, open_for_ms, tripped_ms, results_after FROM policy;
DROP TABLE policy;

ALTER TABLE result RENAME COLUMN policy TO key;
ALTER TABLE result RENAME COLUMN resource TO unit;
UPDATE result SET key = 'policy ' || key || ' ' || split_part(unit, '/', 2);

CREATE TABLE rollout (
    policy text PRIMARY KEY, hash text NOT NULL, secret bytea NOT NULL,
    stage int NOT NULL DEFAULT 0, paused bool NOT NULL DEFAULT false, done bool NOT NULL DEFAULT false,
    undo bool NOT NULL DEFAULT false, since_ms bigint NOT NULL, good int NOT NULL DEFAULT 0,
    waived_ms bigint NOT NULL DEFAULT 0, by_whom text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT ''
) WITH (fillfactor = 50);
CREATE TABLE cohort (
    policy text NOT NULL, resource text NOT NULL, account text NOT NULL, stage int NOT NULL,
    seat bool NOT NULL, remediation bigint NOT NULL, outcome text, PRIMARY KEY (policy, resource)
);
CREATE INDEX cohort_seat ON cohort (policy) WHERE seat;
CREATE INDEX cohort_refused ON cohort (policy, account, stage) WHERE outcome = 'refused';
CREATE TABLE population (
    policy text NOT NULL, place text NOT NULL, count bigint NOT NULL, at_ms bigint NOT NULL,
    PRIMARY KEY (policy, place)
);
CREATE TABLE found (policy text NOT NULL, day bigint NOT NULL, count bigint NOT NULL,
                    PRIMARY KEY (policy, day)) WITH (fillfactor = 50);

-- ---- permits ----

CREATE FUNCTION is_half_open(now_ms bigint, b breaker) RETURNS bool LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(b.opened_ms > 0 AND now_ms >= b.opened_ms + b.open_for_ms, false)
$$;

-- May one more begin under every key? NULL: no; else which of them are probes of a breaker. A rule
-- is five numbers: in_a_row, percent, of, window_ms, open_ms. Where nothing is counted, those that
-- ask do not wait for each other.
CREATE FUNCTION check_permits(now_ms bigint, keys text[], at_once int[], per_hour int[],
                              rules bigint[], holds bool) RETURNS bool[] LANGUAGE plpgsql AS $$
DECLARE
    b breaker;
    i int;
    lock_id bigint;
    shared bool;
    probes bool[] := array_fill(false, ARRAY[cardinality(keys)]);
BEGIN
    FOR i IN SELECT n FROM generate_subscripts(keys, 1) AS n ORDER BY keys[n] COLLATE "C" LOOP
        lock_id := hashtextextended('rectify permit ' || keys[i], 0);
        shared := at_once[i] <= 0 AND per_hour[i] <= 0
            AND NOT EXISTS (SELECT FROM breaker WHERE key = keys[i] AND opened_ms > 0);
        IF shared THEN
            PERFORM pg_advisory_xact_lock_shared(lock_id);
        ELSE
            PERFORM pg_advisory_xact_lock(lock_id);
        END IF;
        SELECT * INTO b FROM breaker WHERE key = keys[i];
        IF FOUND AND b.opened_ms > 0 AND rules[5 * i] > 0 THEN
            IF shared OR NOT is_half_open(now_ms, b) THEN
                RETURN NULL;
            END IF;
            IF NOT holds AND (SELECT count(*) FROM permit WHERE key = keys[i] AND probe)
               >= (CASE WHEN b.probes_good = 0 THEN 1
                   ELSE 11 - b.probes_good - b.probes_bad END) THEN
                RETURN NULL;
            END IF;
            probes[i] := true;
        END IF;
        IF coalesce(b.slow_until_ms, 0) > now_ms
           OR (at_once[i] > 0 AND NOT holds
               AND (SELECT count(*) FROM permit WHERE key = keys[i]) >= at_once[i])
           OR (per_hour[i] > 0
               AND (SELECT count(*) FROM begun WHERE key = keys[i] AND at_ms > now_ms - 3600000)
                   >= per_hour[i]) THEN
            RETURN NULL;
        END IF;
    END LOOP;
    RETURN probes;
END $$;

CREATE FUNCTION take_permits(now_ms bigint, of_id bigint, keys text[], units text[], per_hour int[],
                             rules bigint[], probes bool[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO permit (remediation, key, unit, probe, in_a_row, percent, share_of, window_ms,
                        open_ms)
        SELECT of_id, keys[n], units[n], probes[n], rules[5 * n - 4], rules[5 * n - 3],
            rules[5 * n - 2], rules[5 * n - 1], rules[5 * n] FROM generate_subscripts(keys, 1) AS n
        ON CONFLICT DO NOTHING;
    INSERT INTO begun (key, at_ms) SELECT keys[n], now_ms FROM generate_subscripts(keys, 1) AS n
        WHERE per_hour[n] <> 0
$$;

-- And one that waits for a permit of the policy becomes due, unless somebody is at it.
CREATE FUNCTION give_permits(now_ms bigint, of_id bigint, of_policy text) RETURNS void
    LANGUAGE sql AS $$
    DELETE FROM permit WHERE remediation = of_id;
    UPDATE remediation SET due_ms = now_ms WHERE id = (
        SELECT id FROM remediation WHERE active AND due_ms > now_ms AND state = 'held' AND step = 1
            AND policy = of_policy AND lease_end_ms = 0
        ORDER BY due_ms, id LIMIT 1 FOR UPDATE SKIP LOCKED)
$$;

CREATE FUNCTION wake_policy(now_ms bigint, of_policy text) RETURNS void LANGUAGE sql AS $$
    UPDATE remediation SET due_ms = now_ms + (id * 7919) % 2000 WHERE id IN (
        SELECT id FROM remediation WHERE active AND due_ms > now_ms AND state = 'held' AND step > 0
            AND policy = of_policy FOR UPDATE SKIP LOCKED)
$$;

-- ---- breakers ----

CREATE FUNCTION write_breaker(b breaker, forget bool) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF forget THEN
        b.results_after := (SELECT coalesce(max(sequence), 0) FROM result);
    END IF;
    INSERT INTO breaker VALUES (b.*) ON CONFLICT (key) DO UPDATE SET opened_ms = b.opened_ms,
        open_for_ms = b.open_for_ms, tripped_ms = b.tripped_ms, probes_good = b.probes_good,
        probes_bad = b.probes_bad, slow_until_ms = b.slow_until_ms, results_after = b.results_after;
END $$;

CREATE FUNCTION tell_breaker(now_ms bigint, b breaker, why text) RETURNS void LANGUAGE sql AS $$
    SELECT write_leaf(now_ms, '{"key":' || to_json(b.key) || ',"open_for_ms":'
        || CASE WHEN b.opened_ms > 0 THEN b.open_for_ms ELSE 0 END || ',"reason":' || to_json(why)
        || '}', '{}', 'breaker', NULL, NULL, NULL, NULL, NULL, 0, 0, NULL)
$$;

CREATE FUNCTION find_breaker(of_key text) RETURNS breaker LANGUAGE plpgsql AS $$
DECLARE
    b breaker;
BEGIN
    SELECT * INTO b FROM breaker WHERE key = of_key;
    IF NOT FOUND THEN
        b := ROW(of_key, 0, 0, 0, 0, 0, 0, 0);
    END IF;
    RETURN b;
END $$;

-- Opened for open_ms, doubled when its last opening ended less than an hour ago.
CREATE FUNCTION tripped(now_ms bigint, b breaker, open_ms bigint) RETURNS breaker
    LANGUAGE plpgsql AS $$
BEGIN
    b.open_for_ms := least(3600000, CASE WHEN b.tripped_ms > 0 AND b.open_for_ms > 0
        AND now_ms - (b.tripped_ms + b.open_for_ms) < 3600000
        THEN b.open_for_ms * 2 ELSE open_ms END);
    b.opened_ms := now_ms;
    b.tripped_ms := now_ms;
    b.probes_good := 0;
    b.probes_bad := 0;
    RETURN b;
END $$;

-- Newest first, the newest of each unit.
CREATE FUNCTION trips(now_ms bigint, p permit, after bigint) RETURNS bool LANGUAGE sql AS $$
    WITH looked_at AS MATERIALIZED (
        SELECT unit, bad, sequence FROM result WHERE key = p.key AND sequence > after
            AND (p.window_ms <= 0 OR at_ms >= now_ms - p.window_ms)
        ORDER BY sequence DESC LIMIT 1000
    ), newest AS (
        SELECT DISTINCT ON (unit) bad, sequence FROM looked_at ORDER BY unit, sequence DESC
    ), ranked AS (
        SELECT bad, row_number() OVER (ORDER BY sequence DESC) AS n FROM newest
    ), counted AS (
        SELECT count(*) FILTER (WHERE n < coalesce((SELECT min(n) FROM ranked WHERE NOT bad),
                                                   9223372036854775807)) AS in_a_row,
            count(*) FILTER (WHERE n <= p.share_of) AS total,
            count(*) FILTER (WHERE n <= p.share_of AND bad) AS bad
        FROM ranked
    )
    SELECT (p.in_a_row > 0 AND c.in_a_row >= p.in_a_row)
        OR (p.share_of > 0 AND c.total >= p.share_of AND c.bad * 100 >= p.percent * c.total)
    FROM counted c
$$;

-- The end of a repair under one of its keys. outcome: 1 good, 2 refused, 3 bad, 4 frozen.
CREATE FUNCTION count_result(now_ms bigint, p permit, outcome int) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    bad bool := outcome <> 1;
    is_call bool := starts_with(p.key, 'call ');
    b breaker;
    is_open bool;
    why text := '';
BEGIN
    IF p.open_ms = 0 OR (outcome = 2 AND NOT is_call) THEN
        RETURN;
    END IF;
    IF bad OR p.probe THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('rectify permit ' || p.key, 0));
    END IF;
    INSERT INTO result (key, unit, at_ms, bad) VALUES (p.key, p.unit, now_ms, bad);
    IF NOT bad AND NOT p.probe THEN
        RETURN;
    END IF;
    b := find_breaker(p.key);
    is_open := b.opened_ms > 0 AND NOT is_half_open(now_ms, b);
    IF outcome = 4 AND is_call AND NOT is_open THEN
        b := tripped(now_ms, b, p.open_ms);
        why := 'what was changed could not be taken back';
    ELSIF p.probe AND b.opened_ms > 0 AND NOT is_open THEN
        b.probes_good := b.probes_good + (NOT bad)::int;
        b.probes_bad := b.probes_bad + bad::int;
        IF bad AND (b.probes_good = 0 OR b.probes_bad * 2 >= 10) THEN
            b := tripped(now_ms, b, p.open_ms);
            why := 'a probe failed';
        ELSIF b.probes_good + b.probes_bad > 10 THEN
            b.opened_ms := 0;
            b.probes_good := 0;
            b.probes_bad := 0;
            why := 'the probes were good';
        END IF;
    ELSIF bad AND b.opened_ms = 0 THEN
        IF NOT trips(now_ms, p, b.results_after) THEN
            RETURN;
        END IF;
        b := tripped(now_ms, b, p.open_ms);
        why := 'too many repairs failed';
    ELSE
        RETURN;
    END IF;
    PERFORM write_breaker(b, why <> '');
    IF why <> '' THEN
        PERFORM tell_breaker(now_ms, b, why);
    END IF;
END $$;

CREATE FUNCTION count_outcome(now_ms bigint, of_id bigint, outcome int) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    p permit;
BEGIN
    IF outcome <> 0 THEN
        FOR p IN SELECT * FROM permit WHERE remediation = of_id ORDER BY key COLLATE "C" LOOP
            PERFORM count_result(now_ms, p, outcome);
        END LOOP;
    END IF;
END $$;

-- Throttled: the calls' keys let nothing begin until then.
CREATE FUNCTION slow_calls(of_id bigint, until_ms bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO breaker AS b (key, slow_until_ms) SELECT key, until_ms FROM permit
        WHERE remediation = of_id AND starts_with(key, 'call ') ORDER BY key COLLATE "C"
    ON CONFLICT (key) DO UPDATE SET slow_until_ms = greatest(b.slow_until_ms, until_ms)
$$;

-- By hand. open_ms 0 closes it.
CREATE FUNCTION set_breaker(host_ms bigint, of_key text, open_ms bigint, why text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := clock_ms(host_ms);
    b breaker;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('rectify permit ' || of_key, 0));
    b := find_breaker(of_key);
    IF open_ms > 0 THEN
        IF b.opened_ms > 0 AND NOT is_half_open(now_ms, b) THEN
            RETURN; -- two saw the same; it counts once
        END IF;
        b := tripped(now_ms, b, open_ms);
    ELSE
        b.opened_ms := 0;
        b.probes_good := 0;
        b.probes_bad := 0;
    END IF;
    PERFORM write_breaker(b, true);
    PERFORM tell_breaker(now_ms, b, why);
END $$;

-- ---- a policy's state ----

CREATE FUNCTION tell_policy(now_ms bigint, r rollout, what text) RETURNS void LANGUAGE sql AS $$
    SELECT write_leaf(now_ms, '{"by":' || to_json(r.by_whom) || ',"do":' || to_json(what)
        || ',"hash":' || to_json(r.hash) || ',"policy":' || to_json(r.policy) || ',"reason":'
        || to_json(r.reason) || ',"stage":' || r.stage || '}', '{}', 'policy', NULL, NULL, NULL,
        NULL, NULL, 0, 0, NULL)
$$;

-- Is the rollout so far that this resource's repair may begin?
CREATE FUNCTION check_cohort(of_policy text, of_resource text, of_hash text, at_stage int,
                             seats int) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
    r rollout;
BEGIN
    IF of_hash = '' THEN
        RETURN true;
    ELSIF seats > 0 THEN
        SELECT * INTO r FROM rollout WHERE policy = of_policy FOR UPDATE;
    ELSE
        SELECT * INTO r FROM rollout WHERE policy = of_policy FOR SHARE;
    END IF;
    IF r.policy IS NULL THEN
        RETURN at_stage < 0;
    ELSIF r.paused THEN
        RETURN false;
    ELSIF at_stage < 0 THEN
        RETURN true;
    ELSIF r.hash <> of_hash OR (NOT r.done AND r.stage < at_stage) THEN
        RETURN false;
    END IF;
    RETURN r.done OR seats <= 0
        OR EXISTS (SELECT FROM cohort c WHERE c.policy = of_policy AND c.resource = of_resource
                   AND c.seat)
        OR (SELECT count(*) FROM cohort c WHERE c.policy = of_policy AND c.seat) < seats;
END $$;

CREATE FUNCTION take_seat(of_id bigint, of_policy text, of_resource text, seats int) RETURNS void
    LANGUAGE sql AS $$
    INSERT INTO cohort AS c (policy, resource, account, stage, seat, remediation)
        SELECT of_policy, of_resource, split_part(of_resource, '/', 2), r.stage, seats > 0, of_id
        FROM rollout r WHERE r.policy = of_policy AND NOT r.done
    ON CONFLICT (policy, resource) DO UPDATE SET stage = excluded.stage,
        seat = c.seat OR excluded.seat, remediation = of_id, outcome = NULL
$$;

-- A rollback of each repair that the stage has healed, in this very transaction.
CREATE FUNCTION undo_stage(now_ms bigint, of_policy text, of_stage int) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    r remediation;
    detail text;
    new_id bigint;
BEGIN
    FOR r IN SELECT m.* FROM cohort c JOIN remediation m ON m.id = c.remediation
             WHERE c.policy = of_policy AND c.stage = of_stage AND c.outcome = 'good'
             ORDER BY m.resource COLLATE "C" LOOP
        detail := '{"parent":' || r.id || ',"staged":true}';
        new_id := insert_remediation(now_ms, 'rollback', of_policy, r.policy_hash, r.resource,
                                     r.region, now_ms, detail);
        IF new_id IS NOT NULL THEN
            PERFORM write_leaf(now_ms, detail, '{}', 'create', new_id, of_policy, r.resource,
                               'its rollout''s stage is taken back', 'received', 0, 1, NULL);
        END IF;
    END LOOP;
END $$;

CREATE FUNCTION pause_rollout(now_ms bigint, r rollout, undoes bool) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE rollout SET paused = true, waived_ms = 0, by_whom = r.by_whom, reason = r.reason
        WHERE policy = r.policy;
    PERFORM tell_policy(now_ms, r, 'pause');
    IF undoes THEN
        PERFORM undo_stage(now_ms, r.policy, r.stage);
    END IF;
END $$;

-- The end of a repair that counted for a stage.
CREATE FUNCTION end_seat(now_ms bigint, of_id bigint, of_policy text, of_resource text, outcome int)
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c cohort;
    r rollout;
BEGIN
    SELECT * INTO c FROM cohort WHERE policy = of_policy AND resource = of_resource
        AND remediation = of_id;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT * INTO r FROM rollout WHERE policy = of_policy FOR UPDATE;
    IF outcome = 0 THEN
        DELETE FROM cohort WHERE policy = of_policy AND resource = of_resource
            AND remediation = of_id AND cohort.outcome IS NULL;
        RETURN;
    END IF;
    UPDATE cohort SET outcome = (ARRAY['good', 'refused', 'bad', 'bad'])[end_seat.outcome],
        seat = seat AND end_seat.outcome <> 2
        WHERE policy = of_policy AND resource = of_resource;
    IF outcome = 1 THEN
        UPDATE rollout SET good = good + 1 WHERE policy = of_policy AND stage = c.stage;
    ELSIF outcome > 2 AND r.policy IS NOT NULL AND NOT r.paused AND NOT r.done THEN
        r.by_whom := 'rectify';
        r.reason := 'r' || of_id || ' of its rollout did not help';
        PERFORM pause_rollout(now_ms, r, r.undo);
    END IF;
END $$;

-- what: 0 begin, 1 promote, 2 finish, 3 pause, 4 resume. Returns the verb's result.
CREATE FUNCTION set_rollout(host_ms bigint, what int, of_policy text, of_hash text, of_stage int,
                            undoes bool, staged bool, waive bigint, by_name text, why text,
                            new_secret bytea) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    ok CONSTANT int := 0; conflict CONSTANT int := 1; absent CONSTANT int := 5;
    now_ms bigint := clock_ms(host_ms);
    r rollout;
    known bool;
    person bool;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('rectify rollout ' || of_policy, 0));
    SELECT * INTO r FROM rollout WHERE policy = of_policy FOR UPDATE;
    known := FOUND;
    IF (what = 0 AND known AND r.hash = of_hash) THEN
        RETURN ok;
    ELSIF what IN (1, 2, 4) AND NOT known THEN
        RETURN absent;
    ELSIF what IN (1, 2) AND (r.stage <> of_stage OR r.done) THEN
        RETURN conflict;
    END IF;
    IF NOT known THEN
        INSERT INTO rollout (policy, hash, secret, done, since_ms)
            VALUES (of_policy, of_hash, new_secret, NOT staged, now_ms) RETURNING * INTO r;
    END IF;
    IF what = 0 THEN
        person := r.paused AND r.by_whom <> 'rectify';
        DELETE FROM cohort WHERE policy = of_policy;
        UPDATE rollout SET hash = of_hash, secret = new_secret, stage = 0, good = 0, waived_ms = 0,
            paused = person, done = NOT staged, undo = undoes, since_ms = now_ms,
            by_whom = CASE WHEN person THEN by_whom ELSE by_name END,
            reason = CASE WHEN person THEN reason ELSE why END
            WHERE policy = of_policy RETURNING * INTO r;
        PERFORM tell_policy(now_ms, r, 'begin');
    ELSIF what = 3 THEN
        undoes := undoes AND NOT r.paused AND NOT r.done;
        r.by_whom := by_name;
        r.reason := why;
        PERFORM pause_rollout(now_ms, r, undoes);
    ELSE
        UPDATE rollout SET paused = false, done = done OR what = 2,
            stage = stage + (what = 1)::int, good = 0, since_ms = now_ms,
            waived_ms = CASE WHEN waive > 0 THEN now_ms + waive ELSE waived_ms END,
            by_whom = by_name, reason = why WHERE policy = of_policy RETURNING * INTO r;
        PERFORM tell_policy(now_ms, r, CASE what WHEN 4 THEN 'resume' ELSE
                            CASE WHEN r.done THEN 'finish' ELSE 'promote' END END);
        PERFORM wake_policy(now_ms, of_policy);
    END IF;
    RETURN ok;
END $$;

CREATE FUNCTION set_counted(host_ms bigint, of_policy text, of_place text, number bigint)
    RETURNS void LANGUAGE sql AS $$
    INSERT INTO population VALUES (of_policy, of_place, number, clock_ms(host_ms))
    ON CONFLICT (policy, place) DO UPDATE SET count = excluded.count, at_ms = excluded.at_ms
$$;

-- ---- advance ----

-- Transitions of one row, one element of each array for one. flags: 1 the sequence has to be
-- unchanged, 2 lock, 4 freeze, 8 keep the lease, 16 `into_` is terminal, 32 it is a locked state,
-- 64 a violation is found. outcomes: enum store_outcome. The permits, and what the rollout has to
-- be, are those of the `permit_at`th transition (0: of none). Returns the verb's result (enum
-- store_result) and how many were applied before the first whose condition failed.
CREATE FUNCTION advance(host_ms bigint, waits bool, of_id bigint, from_version bigint,
                        of_epoch bigint, flags int[], into_ text[], steps int[], due bigint[],
                        reasons text[], details text[], bodies text[], cuts text[], seen bigint[],
                        approvals text[], asks text[], ask_expires bigint[], outcomes int[],
                        throttled bigint[], requests text[], permit_at int, keys text[],
                        units text[], at_once int[], per_hour int[], rules bigint[],
                        cohort_hash text, cohort_stage int, cohort_seats int, cohort_counts bool,
                        OUT result int, OUT applied int)
    LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    ok CONSTANT int := 0; conflict CONSTANT int := 1; locked CONSTANT int := 2;
    limited CONSTANT int := 3; void CONSTANT int := 4; absent CONSTANT int := 5;
    now_ms bigint := clock_ms(host_ms);
    r remediation;
    was_active bool;
    held_by bigint; held_frozen bool;
    f int;
    terminal bool; working bool; own_frozen bool; holds_lock bool;
    new_due bigint;
    new_detail text := '';
    probes bool[];
BEGIN
    applied := 0;
    result := absent;
    SELECT * INTO r FROM remediation WHERE id = of_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    was_active := r.active;
    FOR i IN 1 .. array_length(flags, 1) LOOP
        f := flags[i];
        terminal := f & 16 <> 0;
        working := f & 32 <> 0;
        -- conditions
        result := conflict;
        EXIT WHEN r.version <> from_version + i - 1 OR (of_epoch <> 0 AND r.epoch <> of_epoch)
            OR (f & 1 <> 0 AND r.sequence <> r.sequence_seen);
        held_by := NULL;
        held_frozen := false;
        IF f & 6 <> 0 OR NOT r.active THEN
            SELECT l.remediation, l.frozen INTO held_by, held_frozen FROM lock l
                WHERE l.resource = r.resource;
        END IF;
        own_frozen := coalesce(held_frozen AND held_by = of_id, false);
        IF NOT r.active THEN -- a person may clear what is frozen
            EXIT WHEN NOT (of_epoch = 0 AND own_frozen AND into_[i] = r.state AND f & 4 = 0);
        ELSE
            result := locked;
            EXIT WHEN f & 6 <> 0 AND held_by <> of_id;
            result := limited;
            IF i = permit_at THEN
                probes := check_permits(now_ms, keys, at_once, per_hour, rules, r.holds & 1 <> 0);
                EXIT WHEN probes IS NULL OR NOT check_cohort(r.policy, r.resource, cohort_hash,
                                                             cohort_stage, cohort_seats);
            END IF;
            result := void;
            EXIT WHEN approvals[i] <> '' AND NOT is_approved(now_ms, of_id, approvals[i]);
        END IF;
        -- the lock, which another may take at this very moment: still a condition
        holds_lock := r.holds & 2 <> 0;
        result := locked;
        IF f & 4 <> 0 THEN
            INSERT INTO lock AS l VALUES (r.resource, of_id, true)
                ON CONFLICT (resource) DO UPDATE SET frozen = true WHERE l.remediation = of_id;
            EXIT WHEN NOT FOUND;
        ELSIF f & 2 <> 0 AND working AND NOT holds_lock THEN
            INSERT INTO lock VALUES (r.resource, of_id, false) ON CONFLICT DO NOTHING;
            EXIT WHEN NOT FOUND;
            r.holds := r.holds | 2;
        ELSIF NOT working AND (holds_lock OR (terminal AND own_frozen)) THEN
            DELETE FROM lock l WHERE l.resource = r.resource AND l.remediation = of_id;
            r.holds := r.holds & ~2;
        END IF;
        -- effects
        IF throttled[i] > 0 THEN
            PERFORM slow_calls(of_id, now_ms + throttled[i]);
        END IF;
        IF f & 64 <> 0 THEN
            INSERT INTO found AS t VALUES (r.policy, now_ms / 86400000, 1)
                ON CONFLICT (policy, day) DO UPDATE SET count = t.count + 1;
        END IF;
        IF outcomes[i] <> 0 OR (terminal AND r.active AND r.kind = 'repair') THEN
            PERFORM count_outcome(now_ms, of_id, outcomes[i]);
            PERFORM end_seat(now_ms, of_id, r.policy, r.resource, outcomes[i]);
        END IF;
        IF i = permit_at THEN
            PERFORM take_permits(now_ms, of_id, keys, units, per_hour, rules, probes);
            r.holds := CASE WHEN cardinality(keys) > 0 THEN r.holds | 1 ELSE r.holds END;
            IF cohort_counts AND cohort_hash <> '' THEN
                PERFORM take_seat(of_id, r.policy, r.resource, cohort_seats);
            END IF;
        ELSIF NOT working AND r.holds & 1 <> 0 THEN
            PERFORM give_permits(now_ms, of_id, r.policy);
            r.holds := r.holds & ~1;
        END IF;
        new_due := due[i] - host_ms + now_ms;
        IF into_[i] = 'asking' THEN
            new_due := ask(now_ms, of_id, asks[i], ask_expires[i] - host_ms + now_ms, new_due);
        END IF;
        IF approvals[i] <> '' THEN
            UPDATE approval a SET consumed = true WHERE a.remediation = of_id;
        END IF;
        IF requests[i] <> '' THEN
            INSERT INTO own_call VALUES (requests[i], of_id, now_ms) ON CONFLICT DO NOTHING;
        END IF;
        r.version := r.version + 1;
        PERFORM write_leaf(now_ms, bodies[i], cuts[i], 'transition', of_id, r.policy, r.resource,
                           reasons[i], into_[i], steps[i], r.version,
                           CASE WHEN terminal AND r.active THEN into_[i] END);
        -- the row as this transition leaves it
        r.state := into_[i];
        r.step := steps[i];
        r.reason := reasons[i];
        r.due_ms := CASE WHEN NOT terminal THEN new_due END;
        IF f & 8 <> 0 AND of_epoch <> 0 AND NOT terminal THEN
            r.lease_end_ms := now_ms + r.lease_ms;
        ELSE
            r.lease_end_ms := 0;
            r.released_ms := now_ms;
        END IF;
        IF details[i] <> '' THEN
            new_detail := details[i];
        END IF;
        r.sequence_seen := greatest(r.sequence_seen, least(seen[i], r.sequence));
        IF r.state = 'healed' AND r.kind = 'repair' THEN
            r.healed_ms := now_ms;
        END IF;
        IF terminal THEN
            r.active := false;
            r.holds := 0;
        END IF;
        applied := i;
        result := ok;
    END LOOP;
    IF applied = 0 THEN
        RETURN;
    END IF;
    UPDATE remediation u SET state = r.state, step = r.step, version = r.version,
        due_ms = r.due_ms, updated_ms = now_ms, reason = r.reason, active = r.active,
        lease_end_ms = r.lease_end_ms, released_ms = r.released_ms, holds = r.holds,
        sequence_seen = r.sequence_seen, healed_ms = r.healed_ms WHERE u.id = of_id;
    IF new_detail <> '' THEN
        UPDATE detail d SET json = new_detail WHERE d.id = of_id;
    END IF;
    IF was_active AND NOT r.active AND r.sequence > r.sequence_seen THEN
        PERFORM succeed(now_ms, r);
    END IF;
    IF NOT waits THEN -- durable with whatever commits next
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
END $$;

-- ---- rights ----

CREATE OR REPLACE FUNCTION worker_rights_base(role_name name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA rectify TO %I', role_name);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA rectify TO %I', role_name);
    EXECUTE format('GRANT INSERT ON record TO %I', role_name);
    EXECUTE format('GRANT UPDATE ON head, expiry TO %I', role_name);
    EXECUTE format('GRANT INSERT, DELETE ON leaf, begun, permit, result, own_call TO %I',
                   role_name);
    EXECUTE format('GRANT INSERT, UPDATE ON ended_count, remediation, detail, approval TO %I',
                   role_name);
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON event, lock TO %I', role_name);
    EXECUTE format('GRANT USAGE ON SEQUENCE instance TO %I', role_name);
    EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA rectify TO %I', role_name);
END $$;
CREATE FUNCTION worker_rights_permits(role_name name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('GRANT INSERT, UPDATE ON breaker, rollout, population, found TO %I', role_name);
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON cohort TO %I', role_name);
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
UPDATE meta SET version = 4;
