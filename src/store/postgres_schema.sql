-- SPDX-License-Identifier: Apache-2.0
-- The store in PostgreSQL, version 1: tables, and one function a verb, so that a verb is one round
-- trip and one transaction. postgres_verbs.c calls them; store/store.h says what each promises.
--
--   verbs ──► remediation, detail, lock, permit, ... + leaf (unsequenced)      any worker
--   sequencer ──► leaf moves to record, with a position; head grows         who has head's row
--
-- Rules. Times are milliseconds since 1970 by the database's clock: a caller hands over what its
-- own clock says (host_ms), and only the differences to it count. Every verb that touches a
-- remediation locks its row first, then approval, permits, lock. Conditions come before writes, so
-- that a verb which refuses has written nothing. `record` is only ever inserted into.

CREATE TABLE meta (version int NOT NULL);
INSERT INTO meta VALUES (1);

-- The tree's compact range over all of `record`.
CREATE TABLE head (
    one bool PRIMARY KEY DEFAULT true CHECK (one),
    size bigint NOT NULL, root bytea NOT NULL, peaks bytea NOT NULL, at_ms bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO head (size, root, peaks, at_ms) VALUES (0, sha256(''), '', 0);

CREATE TABLE record (
    position bigint PRIMARY KEY, remediation bigint, text text NOT NULL, hash bytea NOT NULL
);
CREATE INDEX record_remediation ON record (remediation, position) WHERE remediation IS NOT NULL;

-- Leaves that have no position yet. `ended` is the terminal state that the transition led to.
CREATE TABLE leaf (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    remediation bigint, text text NOT NULL, hash bytea NOT NULL, ended text
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Ended remediations whose last leaf is sequenced; the others are counted as they are.
CREATE TABLE ended_count (state text PRIMARY KEY, count bigint NOT NULL) WITH (fillfactor = 50);

-- The latest moment at which something was found to be expired: it stays so when the clock is set
-- back.
CREATE TABLE expiry (one bool PRIMARY KEY DEFAULT true CHECK (one), seen_ms bigint NOT NULL);
INSERT INTO expiry (seen_ms) VALUES (0);

CREATE SEQUENCE instance; -- a number for each process that claims

CREATE TABLE event (key bytea PRIMARY KEY, at_ms bigint NOT NULL);
CREATE INDEX event_at ON event (at_ms);

-- Calls of ours that were answered: an event that tells of one starts nothing.
CREATE TABLE own_call (request_id text PRIMARY KEY, remediation bigint NOT NULL,
                       at_ms bigint NOT NULL);
CREATE INDEX own_call_at ON own_call (at_ms);

-- due_ms is NULL exactly in terminal states; lease_end_ms is 0 when nobody holds the row, and
-- released_ms says since when. holds: 1 a permit, 2 the resource's lock.
CREATE TABLE remediation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL, state text NOT NULL, step int NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 1, epoch bigint NOT NULL DEFAULT 0,
    sequence bigint NOT NULL DEFAULT 0, sequence_seen bigint NOT NULL DEFAULT 0,
    created_ms bigint NOT NULL, updated_ms bigint NOT NULL, settled_ms bigint NOT NULL,
    due_ms bigint,
    active bool NOT NULL DEFAULT true,
    lease_ms bigint NOT NULL DEFAULT 0, lease_end_ms bigint NOT NULL DEFAULT 0,
    released_ms bigint NOT NULL DEFAULT 0, leased_by bigint NOT NULL DEFAULT 0,
    holds int NOT NULL DEFAULT 0, healed_ms bigint,
    policy text NOT NULL, policy_hash text NOT NULL, resource text NOT NULL, region text NOT NULL,
    reason text NOT NULL DEFAULT ''
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000);
CREATE INDEX remediation_due ON remediation (due_ms, id) WHERE active;
CREATE UNIQUE INDEX remediation_active ON remediation (resource, policy, kind) WHERE active;
CREATE INDEX remediation_healed ON remediation (resource, policy, healed_ms)
    WHERE healed_ms IS NOT NULL;

CREATE TABLE detail (
    id bigint PRIMARY KEY, json text NOT NULL, newer text NOT NULL DEFAULT '',
    newer_hash text NOT NULL DEFAULT ''
) WITH (fillfactor = 70);

CREATE TABLE lock (resource text PRIMARY KEY, remediation bigint NOT NULL, frozen bool NOT NULL);
CREATE TABLE permit (remediation bigint PRIMARY KEY, policy text NOT NULL); -- held
CREATE INDEX permit_policy ON permit (policy);
CREATE TABLE begun (policy text NOT NULL, at_ms bigint NOT NULL); -- intents, of the last hours
CREATE INDEX begun_policy ON begun (policy, at_ms);

CREATE TABLE policy (
    name text PRIMARY KEY, opened_ms bigint NOT NULL, open_for_ms bigint NOT NULL,
    tripped_ms bigint NOT NULL, results_after bigint NOT NULL
);
CREATE TABLE result (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    policy text NOT NULL, resource text NOT NULL, at_ms bigint NOT NULL, bad bool NOT NULL
);
CREATE INDEX result_policy ON result (policy, sequence);

CREATE TABLE approval (
    remediation bigint PRIMARY KEY, plan_hash text NOT NULL, asked_ms bigint NOT NULL,
    expires_ms bigint NOT NULL, decided bool NOT NULL DEFAULT false,
    yes bool NOT NULL DEFAULT false,
    by_whom text NOT NULL DEFAULT '', reason text NOT NULL DEFAULT '',
    consumed bool NOT NULL DEFAULT false
);

-- ---- what the verbs share ----

-- The one place where time comes from. Tests with a clock of their own replace it by one that
-- returns host_ms.
CREATE FUNCTION clock_ms(host_ms bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;

-- Writes one leaf: canonical JSON, as leaf.c writes it. of_id NULL leaves out everything about a
-- remediation. `cut` stands in for a body with which the leaf would be too long.
CREATE FUNCTION write_leaf(now_ms bigint, body text, cut text, kind text, of_id bigint, policy text,
                           resource text, reason text, state text, step int, version bigint,
                           ended text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    head text := '{"at":' || now_ms || ',"body":';
    tail text := ',"kind":' || to_json(kind) || '}';
    whole text;
BEGIN
    IF of_id IS NOT NULL THEN
        tail := ',"id":"r' || of_id || '","kind":' || to_json(kind) || ',"policy":'
            || to_json(policy) || ',"reason":' || to_json(reason) || ',"resource":'
            || to_json(resource) || ',"state":' || to_json(state) || ',"step":' || step
            || ',"version":' || version || '}';
    END IF;
    whole := head || body || tail;
    IF octet_length(whole) > 65535 THEN
        whole := head || cut || tail;
    END IF;
    INSERT INTO leaf (remediation, text, hash, ended)
        VALUES (of_id, whole, sha256('\x00'::bytea || convert_to(whole, 'UTF8')), ended);
END $$;

CREATE FUNCTION insert_remediation(now_ms bigint, of_kind text, of_policy text, hash text,
                                   of_resource text, of_region text, due bigint, json text)
    RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    new_id bigint; -- stays NULL when an active one has come meanwhile
BEGIN
    INSERT INTO remediation (kind, state, created_ms, updated_ms, settled_ms, due_ms, policy,
                             policy_hash, resource, region)
        VALUES (of_kind, 'received', now_ms, now_ms, due, due, of_policy, hash, of_resource,
                of_region)
        ON CONFLICT (resource, policy, kind) WHERE active DO NOTHING RETURNING id INTO new_id;
    IF new_id IS NOT NULL THEN
        INSERT INTO detail (id, json) VALUES (new_id, json);
    END IF;
    RETURN new_id;
END $$;

-- Is the moment over? Looks at the latest expiry seen, and remembers this one.
CREATE FUNCTION is_over(now_ms bigint, expires bigint) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    IF now_ms >= expires THEN
        UPDATE expiry SET seen_ms = now_ms WHERE seen_ms < now_ms;
        RETURN true;
    END IF;
    RETURN (SELECT seen_ms >= expires FROM expiry);
END $$;

-- ---- accept, create, claim ----

-- Is it the event of a call of ours? Then what was called is verified now, unless somebody is at
-- it.
CREATE FUNCTION accept_own(now_ms bigint, request text, body text, cut text) RETURNS bool
    LANGUAGE plpgsql AS $$
DECLARE
    r remediation;
BEGIN
    SELECT o.* INTO r FROM own_call c JOIN remediation o ON o.id = c.remediation
        WHERE c.request_id = request;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE remediation SET due_ms = least(due_ms, now_ms) WHERE id IN
        (SELECT v.id FROM remediation v WHERE v.id = r.id AND v.state = 'verifying'
         FOR UPDATE SKIP LOCKED);
    PERFORM write_leaf(now_ms, body, cut, 'event', r.id, r.policy, r.resource, 'our own call',
                       r.state, r.step, r.version, NULL);
    RETURN true;
END $$;

-- Sorted, so that two that accept the same resources wait for each other in one order only.
-- keys, requests, own_bodies and own_cuts have an element for each event (a request is empty where
-- there is none, or nothing matches), the others for each match. Returns the 1-based numbers of the
-- events that were taken.
CREATE FUNCTION accept(host_ms bigint, forget_ms bigint, keys bytea[], requests text[],
                       own_bodies text[], own_cuts text[], owner int[], policies text[],
                       hashes text[], resources text[], regions text[], due bigint[],
                       details text[], bodies text[], cuts text[])
    RETURNS SETOF int LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := clock_ms(host_ms);
    m record;
    r record;
    fresh_id bigint;
    settled bigint;
    taken int[];
    ours int[] := '{}';
    n int;
BEGIN
    WITH given AS (
        SELECT key, min(number)::int AS number FROM unnest(keys) WITH ORDINALITY AS k (key, number)
        GROUP BY key
    ), kept AS (
        INSERT INTO event (key, at_ms) SELECT key, now_ms FROM given ORDER BY key
        ON CONFLICT (key) DO UPDATE SET at_ms = now_ms WHERE event.at_ms < now_ms - forget_ms
        RETURNING key
    )
    SELECT array_agg(number) INTO taken FROM given JOIN kept USING (key);
    FOR n IN SELECT t FROM unnest(taken) AS t WHERE requests[t] <> '' ORDER BY t LOOP
        -- One that names another resource than was called is not the event of that call.
        CONTINUE WHEN EXISTS (
            SELECT FROM own_call c JOIN remediation o ON o.id = c.remediation,
                generate_subscripts(owner, 1) AS i
            WHERE c.request_id = requests[n] AND owner[i] = n AND resources[i] <> o.resource);
        IF accept_own(now_ms, requests[n], own_bodies[n], own_cuts[n]) THEN
            ours := ours || n;
        END IF;
    END LOOP;
    FOR m IN SELECT i, policies[i] AS policy, resources[i] AS resource
             FROM generate_subscripts(owner, 1) AS i
             WHERE owner[i] = ANY (taken) AND owner[i] <> ALL (ours)
             ORDER BY resources[i] COLLATE "C", policies[i] COLLATE "C", i LOOP
        settled := due[m.i] - host_ms + now_ms;
        LOOP
            SELECT id, state, step, version, due_ms INTO r FROM remediation
                WHERE resource = m.resource AND policy = m.policy AND kind = 'repair' AND active
                FOR UPDATE;
            IF FOUND THEN
                UPDATE remediation SET sequence = sequence + 1, updated_ms = now_ms,
                    settled_ms = greatest(remediation.settled_ms, settled),
                    due_ms = CASE WHEN state IN ('received', 'settling')
                             THEN least(due_ms, settled) ELSE due_ms END
                    WHERE id = r.id;
                UPDATE detail SET newer = details[m.i], newer_hash = hashes[m.i] WHERE id = r.id;
                PERFORM write_leaf(now_ms, bodies[m.i], cuts[m.i], 'event', r.id, m.policy,
                                   m.resource, 'joined a running one', r.state, r.step, r.version,
                                   NULL);
                EXIT;
            END IF;
            fresh_id := insert_remediation(now_ms, 'repair', m.policy, hashes[m.i], m.resource,
                                           regions[m.i], settled, details[m.i]);
            IF fresh_id IS NOT NULL THEN
                PERFORM write_leaf(now_ms, bodies[m.i], cuts[m.i], 'event', fresh_id, m.policy,
                                   m.resource, 'accepted', 'received', 0, 1, NULL);
                EXIT;
            END IF;
        END LOOP;
    END LOOP;
    RETURN QUERY SELECT unnest(taken);
END $$;

-- made is false when an active one is there already; its id is then the one returned.
CREATE FUNCTION create_one(host_ms bigint, of_kind text, of_policy text, hash text,
                           of_resource text, of_region text, due bigint, json text, body text,
                           cut text, OUT made bool, OUT of_id bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := clock_ms(host_ms);
BEGIN
    LOOP
        SELECT id INTO of_id FROM remediation
            WHERE resource = of_resource AND policy = of_policy AND kind = of_kind AND active;
        made := NOT FOUND;
        EXIT WHEN NOT made;
        of_id := insert_remediation(now_ms, of_kind, of_policy, hash, of_resource, of_region,
                                    due - host_ms + now_ms, json);
        EXIT WHEN of_id IS NOT NULL;
    END LOOP;
    IF made THEN
        PERFORM write_leaf(now_ms, body, cut, 'create', of_id, of_policy, of_resource, of_kind,
                           'received', 0, 1, NULL);
    END IF;
END $$;

-- When a row may be taken: due, its lease over, and, where a call of another process may still be
-- on its way, the grace over too.
CREATE FUNCTION takeable_ms(r remediation, me bigint, grace bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE AS $$
    SELECT greatest(r.due_ms, r.lease_end_ms,
        CASE WHEN r.state IN ('calling', 'unknown', 'undoing') AND r.leased_by NOT IN (0, me)
             THEN CASE WHEN r.lease_end_ms > 0 THEN r.lease_end_ms ELSE r.released_ms END + grace
             ELSE 0 END)
$$;

-- One row for each claim, earliest first; the last has id 0 and, as its epoch, in how many ms the
-- next is due (NULL: none). That is looked for thoroughly only by who did not get all it wanted.
CREATE FUNCTION claim(host_ms bigint, me bigint, wanted bigint, lease bigint, grace bigint)
    RETURNS TABLE (of_id bigint, of_epoch bigint) LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := clock_ms(host_ms);
    taken bigint[] := '{}';
BEGIN
    FOR of_id, of_epoch IN
        WITH due AS (
            SELECT r.id FROM remediation r
            WHERE r.active AND r.due_ms <= now_ms AND takeable_ms(r, me, grace) <= now_ms
            ORDER BY r.due_ms, r.id LIMIT wanted FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE remediation r SET epoch = r.epoch + 1, lease_ms = lease,
                lease_end_ms = now_ms + lease, leased_by = me
            FROM due WHERE r.id = due.id RETURNING r.id, r.epoch, r.due_ms
        )
        SELECT c.id, c.epoch FROM claimed c ORDER BY c.due_ms, c.id
    LOOP
        taken := taken || of_id;
        RETURN NEXT;
    END LOOP;
    of_id := 0;
    of_epoch := (SELECT min(at) - now_ms FROM (
        (SELECT takeable_ms(r, me, grace) AS at FROM remediation r
         WHERE r.active AND r.due_ms <= now_ms AND r.id <> ALL (taken)
         ORDER BY r.due_ms, r.id
         LIMIT CASE WHEN cardinality(taken) = wanted THEN 10 ELSE 500 END)
        UNION ALL
        (SELECT takeable_ms(r, me, grace) FROM remediation r WHERE r.active AND r.due_ms > now_ms
         ORDER BY r.due_ms, r.id LIMIT 1)) AS next);
    RETURN NEXT;
END $$;

-- ---- advance ----

-- May this policy begin another? Those that ask wait for each other until the asking one has
-- committed.
CREATE FUNCTION is_limited(now_ms bigint, of_policy text, at_once int, per_hour int) RETURNS bool
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('rectify permit ' || of_policy, 0));
    RETURN (at_once > 0 AND (SELECT count(*) FROM permit WHERE policy = of_policy) >= at_once)
        OR (per_hour > 0 AND (SELECT count(*) FROM begun WHERE policy = of_policy
                              AND at_ms > now_ms - 3600000) >= per_hour);
END $$;

-- Is there a yes to this plan that is good now?
CREATE FUNCTION is_approved(now_ms bigint, of_id bigint, hash text) RETURNS bool
    LANGUAGE plpgsql AS $$
DECLARE
    a approval;
BEGIN
    SELECT * INTO a FROM approval WHERE remediation = of_id FOR UPDATE;
    RETURN FOUND AND NOT is_over(now_ms, a.expires_ms) AND a.decided AND a.yes AND NOT a.consumed
        AND a.plan_hash = hash;
END $$;

-- Opens the approval, unless this very plan is asked or decided already. Returns when the row is
-- due: at once when the decision is there.
CREATE FUNCTION ask(now_ms bigint, of_id bigint, hash text, expires bigint, due bigint)
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
        INSERT INTO approval (remediation, plan_hash, asked_ms, expires_ms)
            VALUES (of_id, hash, now_ms, expires)
            ON CONFLICT (remediation) DO UPDATE SET plan_hash = hash, asked_ms = now_ms,
                expires_ms = expires, decided = false, yes = false, by_whom = '', reason = '',
                consumed = false;
    END IF;
    RETURN due;
END $$;

-- An event came that the ended one never looked at: a new one starts with it, once it has settled.
CREATE FUNCTION succeed(now_ms bigint, r remediation) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    d detail;
    new_id bigint;
BEGIN
    SELECT * INTO d FROM detail WHERE id = r.id;
    new_id := insert_remediation(now_ms, 'repair', r.policy,
        CASE WHEN d.newer_hash = '' THEN r.policy_hash ELSE d.newer_hash END, r.resource, r.region,
        greatest(now_ms, r.settled_ms), CASE WHEN d.newer = '' THEN '{}' ELSE d.newer END);
    IF new_id IS NULL THEN -- the ended one kept every other out until now
        RAISE EXCEPTION 'remediation r% ended, and another is active', r.id;
    END IF;
    PERFORM write_leaf(now_ms, '{"after":"r' || r.id || '"}', '{}', 'successor', new_id, r.policy,
                       r.resource, 'an event came while the one before was at work', 'received', 0,
                       1, NULL);
END $$;

-- Transitions of one row, one element of each array for one. flags: 1 the sequence has to be
-- unchanged, 2 lock, 4 freeze, 8 keep the lease, 16 `into_` is terminal, 32 it is a locked state.
-- breaker: 0 none, 1 good, 2 bad. Returns the verb's result (enum store_result) and how many were
-- applied before the first whose condition failed.
CREATE FUNCTION advance(host_ms bigint, waits bool, of_id bigint, from_version bigint,
                        of_epoch bigint, flags int[], into_ text[], steps int[], due bigint[],
                        reasons text[], details text[], bodies text[], cuts text[], seen bigint[],
                        at_once int[], per_hour int[], approvals text[], asks text[],
                        ask_expires bigint[], breakers int[], requests text[], OUT result int,
                        OUT applied int)
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
            EXIT WHEN ((at_once[i] > 0 AND r.holds & 1 = 0) OR per_hour[i] > 0)
                AND is_limited(now_ms, r.policy,
                               CASE WHEN r.holds & 1 = 0 THEN at_once[i] ELSE 0 END, per_hour[i]);
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
        IF into_[i] = 'intent' THEN
            INSERT INTO begun VALUES (r.policy, now_ms);
        END IF;
        IF working AND r.holds & 1 = 0 THEN
            INSERT INTO permit VALUES (of_id, r.policy);
            r.holds := r.holds | 1;
        ELSIF NOT working AND r.holds & 1 <> 0 THEN
            DELETE FROM permit p WHERE p.remediation = of_id;
            r.holds := r.holds & ~1;
        END IF;
        new_due := due[i] - host_ms + now_ms;
        IF into_[i] = 'asking' THEN
            new_due := ask(now_ms, of_id, asks[i], ask_expires[i] - host_ms + now_ms, new_due);
        END IF;
        IF approvals[i] <> '' THEN
            UPDATE approval a SET consumed = true WHERE a.remediation = of_id;
        END IF;
        IF breakers[i] <> 0 THEN
            INSERT INTO result (policy, resource, at_ms, bad)
                VALUES (r.policy, r.resource, now_ms, breakers[i] = 2);
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

-- ---- records, approvals, breakers ----

CREATE FUNCTION write_record(host_ms bigint, kind text, body text, cut text) RETURNS void
    LANGUAGE sql AS $$
    SELECT write_leaf(clock_ms(host_ms), body, cut, kind, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL)
$$;

CREATE FUNCTION vote(host_ms bigint, of_id bigint, hash text, is_yes bool, by_name text, why text,
                     leaf_why text, body text, cut text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    ok CONSTANT int := 0; conflict CONSTANT int := 1; void CONSTANT int := 4;
    absent CONSTANT int := 5;
    now_ms bigint := clock_ms(host_ms);
    r remediation;
    a approval;
BEGIN
    SELECT * INTO r FROM remediation WHERE id = of_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN absent;
    END IF;
    SELECT * INTO a FROM approval WHERE remediation = of_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN absent;
    ELSIF a.plan_hash <> hash THEN
        RETURN void;
    ELSIF a.decided THEN
        RETURN conflict;
    ELSIF is_over(now_ms, a.expires_ms) OR NOT r.active THEN
        RETURN void;
    END IF;
    UPDATE approval SET decided = true, yes = is_yes, by_whom = by_name, reason = why
        WHERE remediation = of_id;
    UPDATE remediation SET due_ms = least(due_ms, now_ms), updated_ms = now_ms WHERE id = of_id;
    PERFORM write_leaf(now_ms, body, cut, 'vote', of_id, r.policy, r.resource, leaf_why, r.state, 0,
                       r.version, NULL);
    RETURN ok;
END $$;

-- What a breaker's change starts from; the row stays locked until the caller's transaction ends.
CREATE FUNCTION breaker_begin(host_ms bigint, of_policy text, OUT now_ms bigint,
                              OUT opened_ms bigint, OUT open_for_ms bigint, OUT tripped_ms bigint)
    LANGUAGE plpgsql AS $$
BEGIN
    now_ms := clock_ms(host_ms);
    INSERT INTO policy VALUES (of_policy, 0, 0, 0, 0) ON CONFLICT DO NOTHING;
    SELECT p.opened_ms, p.open_for_ms, p.tripped_ms INTO opened_ms, open_for_ms, tripped_ms
        FROM policy p WHERE p.name = of_policy FOR UPDATE;
END $$;

CREATE FUNCTION breaker_end(now_ms bigint, of_policy text, opened bigint, open_for bigint,
                            tripped bigint, body text, cut text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE policy SET opened_ms = opened, open_for_ms = open_for, tripped_ms = tripped,
        results_after = (SELECT coalesce(max(sequence), 0) FROM result) WHERE name = of_policy;
    PERFORM write_leaf(now_ms, body, cut, 'breaker', NULL, NULL, NULL, NULL, NULL, 0, 0, NULL);
END $$;

-- ---- the log ----

-- Moves the leaves to the log's end; head's row is locked by the caller, who hashed them in the
-- order of their ids.
CREATE FUNCTION sequence_leaves(host_ms bigint, from_position bigint, ids bigint[], new_root bytea,
                                new_peaks bytea) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    moved bigint;
BEGIN
    WITH gone AS (
        DELETE FROM leaf WHERE id = ANY (ids) RETURNING id, remediation, text, hash, ended
    ), counted AS (
        INSERT INTO ended_count AS c SELECT ended, count(*) FROM gone WHERE ended IS NOT NULL
            GROUP BY ended
        ON CONFLICT (state) DO UPDATE SET count = c.count + excluded.count
    ), kept AS (
        INSERT INTO record SELECT from_position + row_number() OVER (ORDER BY id) - 1, remediation,
            text, hash FROM gone RETURNING 1
    )
    SELECT count(*) INTO moved FROM kept;
    UPDATE head SET size = from_position + moved, root = new_root, peaks = new_peaks,
        at_ms = clock_ms(host_ms);
    RETURN moved;
END $$;

-- Forgets what is too old to matter, a bounded number at a time.
CREATE FUNCTION purge(host_ms bigint, forget_ms bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := clock_ms(host_ms);
BEGIN
    DELETE FROM event WHERE key IN
        (SELECT key FROM event WHERE at_ms < now_ms - forget_ms ORDER BY at_ms LIMIT 10000);
    DELETE FROM result WHERE sequence IN
        (SELECT sequence FROM result WHERE at_ms < now_ms - forget_ms ORDER BY sequence
         LIMIT 10000);
    DELETE FROM own_call WHERE request_id IN
        (SELECT request_id FROM own_call WHERE at_ms < now_ms - forget_ms ORDER BY at_ms
         LIMIT 10000);
    DELETE FROM begun WHERE at_ms < now_ms - 7200000;
END $$;

-- ---- rights ----

-- All that a process which works needs, and no more: it can neither change nor take away what
-- stands in the log, nor the tables themselves.
CREATE FUNCTION grant_worker(role_name name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA rectify TO %I', role_name);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA rectify TO %I', role_name);
    EXECUTE format('GRANT INSERT ON record TO %I', role_name);
    EXECUTE format('GRANT UPDATE ON head, expiry TO %I', role_name);
    EXECUTE format('GRANT INSERT, DELETE ON leaf, begun, permit, result, own_call TO %I',
                   role_name);
    EXECUTE format('GRANT INSERT, UPDATE ON ended_count, remediation, detail, policy, approval '
                   'TO %I', role_name);
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON event, lock TO %I', role_name);
    EXECUTE format('GRANT USAGE ON SEQUENCE instance TO %I', role_name);
    EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA rectify TO %I', role_name);
END $$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA rectify FROM PUBLIC;
