-- SPDX-License-Identifier: Apache-2.0
-- Version 7: whose turn it is. Where more is due than is wanted, every account has a share; a step
-- of a rollout wakes what it may reach. Whose a resource is say its first 16 characters
-- (aws/123456789012).

CREATE INDEX remediation_whose ON remediation (left(resource, 16) COLLATE "C", due_ms, id)
    WHERE active;

-- What waits for a permit; give_permits() wakes the first.
CREATE INDEX remediation_waits ON remediation (policy, due_ms, id)
    WHERE active AND state = 'held' AND step = 1;

-- The next account after `after`, by name, and when its first is due; `after` = '': the first.
CREATE FUNCTION next_whose(after text, OUT whose text, OUT due bigint) LANGUAGE sql STABLE AS $$
    SELECT left(r.resource, 16), r.due_ms FROM remediation r
        WHERE r.active AND left(r.resource, 16) COLLATE "C" > after
        ORDER BY left(r.resource, 16) COLLATE "C", r.due_ms LIMIT 1
$$;

-- Those of each account, earliest first, no more than its part of `wanted`. Goes round the accounts
-- from call to call: `last` is to be the next call's `after`.
CREATE FUNCTION due_shares(now_ms bigint, me bigint, grace bigint, wanted bigint, after text,
                           OUT ids bigint[], OUT last text) LANGUAGE plpgsql AS $$
DECLARE
    whose text;
    due bigint;
    first text;
    found text[] := '{}';
BEGIN
    ids := '{}';
    last := after;
    FOR visit IN 1 .. 256 LOOP
        EXIT WHEN cardinality(found) >= wanted;
        SELECT n.whose, n.due INTO whose, due FROM next_whose(last) n;
        IF whose IS NULL THEN
            SELECT n.whose, n.due INTO whose, due FROM next_whose('') n;
        END IF;
        EXIT WHEN whose IS NULL OR whose = first; -- all round
        first := coalesce(first, whose);
        last := whose;
        IF due <= now_ms THEN
            found := found || whose;
        END IF;
    END LOOP;
    FOREACH whose IN ARRAY found LOOP
        ids := ids || ARRAY(
            SELECT r.id FROM remediation r
            WHERE r.active AND left(r.resource, 16) COLLATE "C" = whose AND r.due_ms <= now_ms
            AND takeable_ms(r, me, grace) <= now_ms ORDER BY r.due_ms, r.id
            LIMIT greatest(1, wanted / cardinality(found)) FOR UPDATE SKIP LOCKED);
    END LOOP;
END $$;

-- What to take: all that is due, or half of what is wanted in due order, the accounts' shares, and
-- what is left in due order again.
CREATE FUNCTION due_ids(now_ms bigint, me bigint, grace bigint, wanted bigint, after text,
                        OUT ids bigint[], OUT last text) LANGUAGE plpgsql AS $$
DECLARE
    shares bigint[];
BEGIN
    last := after;
    ids := ARRAY(SELECT r.id FROM remediation r
                 WHERE r.active AND r.due_ms <= now_ms AND takeable_ms(r, me, grace) <= now_ms
                 ORDER BY r.due_ms, r.id LIMIT wanted + 1 FOR UPDATE SKIP LOCKED);
    IF cardinality(ids) > wanted THEN
        SELECT s.ids, s.last INTO shares, last
            FROM due_shares(now_ms, me, grace, wanted - wanted / 2, after) s;
        ids := ids[1:wanted / 2] || shares || ids[wanted / 2 + 1:];
        ids := ARRAY(SELECT u.id FROM unnest(ids) WITH ORDINALITY AS u (id, at)
                     GROUP BY u.id ORDER BY min(u.at) LIMIT wanted);
    END IF;
END $$;

-- One row for each claim; the last has id 0, as its epoch in how many ms the next is due (NULL:
-- none; looked for thoroughly only by who did not get all it wanted), and the next call's `after`.
DROP FUNCTION claim(bigint, bigint, bigint, bigint, bigint);
CREATE FUNCTION claim(host_ms bigint, me bigint, wanted bigint, lease bigint, grace bigint,
                      after text)
    RETURNS TABLE (of_id bigint, of_epoch bigint, last text) LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := clock_ms(host_ms);
    taken bigint[];
BEGIN
    SELECT d.ids, d.last INTO taken, last FROM due_ids(now_ms, me, grace, wanted, after) d;
    FOR of_id, of_epoch IN
        WITH claimed AS (
            UPDATE remediation r SET epoch = r.epoch + 1, lease_ms = lease,
                lease_end_ms = now_ms + lease, leased_by = me
            FROM unnest(taken) WITH ORDINALITY AS t (id, at) WHERE r.id = t.id
            RETURNING r.id, r.epoch, t.at
        )
        SELECT c.id, c.epoch FROM claimed c ORDER BY c.at
    LOOP
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

-- What a held row waits for says its step: a time (0), a permit (1), any change of the rollout (2),
-- or one of its steps, which begin with 0 (2 + step). The latter under the policy as it is.
CREATE OR REPLACE FUNCTION wake_policy(now_ms bigint, of_policy text) RETURNS void LANGUAGE sql AS $$
    UPDATE remediation SET due_ms = now_ms + (id * 7919) % 2000 WHERE id IN (
        SELECT r.id FROM remediation r JOIN rollout o USING (policy) WHERE r.active
            AND r.due_ms > now_ms AND r.state = 'held' AND r.step > 0 AND r.policy = of_policy
            AND (r.step <= 2 + o.stage OR o.done OR r.policy_hash <> o.hash)
            FOR UPDATE OF r SKIP LOCKED)
$$;

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
UPDATE meta SET version = 7;
