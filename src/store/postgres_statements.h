// SPDX-License-Identifier: Apache-2.0
/* Every statement of the PostgreSQL backend, prepared on a connection when first used there. What
 * the functions do stands in postgres_schema.sql. Parameters and results are binary; columns are
 * counted in the order in which they stand here. READ: may be sent again when its answer is lost.
 */
#ifndef RECTIFY_STORE_POSTGRES_STATEMENTS_H
#define RECTIFY_STORE_POSTGRES_STATEMENTS_H

#define POSTGRES_COLUMNS                                                                           \
    "r.id, r.kind, r.state, r.step, r.version, r.epoch, r.sequence, r.sequence_seen, "             \
    "r.created_ms, r.updated_ms, coalesce(r.due_ms, 0), r.policy, r.policy_hash, r.resource, "     \
    "r.region, r.reason, r.settled_ms, d.json, d.newer FROM remediation r JOIN detail d ON d.id "  \
    "= r.id "
#define POSTGRES_FILTER                                                                            \
    "r.id < $1::bigint AND ($2::text = '' OR r.policy = $2) AND ($3::text = '' OR r.state = $3) "  \
    "AND ($4::text = '' OR split_part(r.resource, '/', 2) = $4) "                                  \
    "AND ($5::bytea = '' OR convert_to(r.resource, 'UTF8') LIKE $5) "                              \
    "ORDER BY r.id DESC LIMIT $6::bigint"

#define POSTGRES_NOTICE                                                                            \
    "SELECT o.id, o.remediation, o.channel, o.kind, o.thread, o.body, o.created_ms, "              \
    "coalesce(o.due_ms, 0), o.attempts, o.state, o.error, coalesce((SELECT p.reference FROM "      \
    "outbox p WHERE o.thread <> '' AND p.thread = o.thread AND p.channel = o.channel AND "         \
    "p.reference <> '' ORDER BY p.id DESC LIMIT 1), o.reference) FROM outbox o "

#define POSTGRES_POLICY_COLUMNS                                                                    \
    "r.policy, r.hash, r.secret, r.stage, r.paused, r.done, r.since_ms, r.good, r.waived_ms, "     \
    "r.by_whom, r.reason, (SELECT count(*) FROM cohort c WHERE c.policy = r.policy AND c.seat)"

#define POSTGRES_STATEMENTS(X)                                                                     \
    X(BEGIN, WRITE, "BEGIN")                                                                       \
    X(COMMIT, WRITE, "COMMIT")                                                                     \
    X(OPEN, READ,                                                                                  \
      "SELECT version, size, root, peaks, (SELECT coalesce(max(position) + 1, 0) FROM record), "   \
      "current_setting('server_encoding') FROM rectify.meta, rectify.head")                        \
    X(IS_MADE, READ, "SELECT to_regclass('rectify.meta') IS NOT NULL")                             \
    X(VERSION, READ, "SELECT version FROM rectify.meta")                                           \
    X(INSTANCE, WRITE, "SELECT nextval('instance')")                                               \
    X(ACCEPT, WRITE,                                                                               \
      "SELECT * FROM accept($1::bigint, $2::bigint, $3::bytea[], $4::text[], $5::text[], "         \
      "$6::text[], $7::int[], $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[], "   \
      "$13::text[], $14::text[], $15::text[])")                                                    \
    X(CREATE, WRITE,                                                                               \
      "SELECT * FROM create_one($1::bigint, $2::text, $3::text, $4::text, $5::text, $6::text, "    \
      "$7::bigint, $8::text, $9::text, $10::text)")                                                \
    X(CLAIM, WRITE,                                                                                \
      "SELECT * FROM claim($1::bigint, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::text)") \
    X(END_LEASES, WRITE,                                                                           \
      "UPDATE remediation SET released_ms = clock_ms($1::bigint), lease_end_ms = 0 WHERE active "  \
      "AND leased_by = $2::bigint AND lease_end_ms > 0 AND id <> ALL ($3::bigint[])")              \
    X(GET, READ, "SELECT " POSTGRES_COLUMNS "WHERE r.id = $1::bigint")                             \
    X(OWNS, READ,                                                                                  \
      "SELECT 1 FROM remediation WHERE id = $2::bigint AND epoch = $3::bigint AND "                \
      "leased_by = $4::bigint AND lease_end_ms > clock_ms($1::bigint)")                            \
    X(ADVANCE, WRITE,                                                                              \
      "SELECT * FROM advance($1::bigint, $2::bool, $3::bigint, $4::bigint, $5::bigint, "           \
      "$6::int[], $7::text[], $8::int[], $9::bigint[], $10::text[], $11::text[], $12::text[], "    \
      "$13::text[], $14::bigint[], $15::text[], $16::text[], $17::bigint[], $18::int[], "          \
      "$19::bigint[], $20::text[], $21::bigint::int, $22::text[], $23::text[], $24::int[], "       \
      "$25::int[], $26::bigint[], $27::text, $28::bigint::int, $29::bigint::int, $30::bool)")      \
    X(RECORD, WRITE, "SELECT write_record($1::bigint, $2::text, $3::text, $4::text)")              \
    X(VOTE, WRITE,                                                                                 \
      "SELECT * FROM vote($1::bigint, $2::bigint, $3::text, $4::text, $5::bool, $6::text, "        \
      "$7::text, $8::text, $9::text, $10::text, $11::text, $12::text)")                            \
    X(APPROVAL, READ,                                                                              \
      "SELECT plan_hash, expires_ms, decided, yes, by_whom, reason, "                              \
      "consumed OR (place <> '' AND place <> place()), ask, need, via, votes::text "               \
      "FROM approval WHERE remediation = $1::bigint")                                              \
    X(ASK_MORE, WRITE, "SELECT ask_more($1::bigint, $2::text, $3::bigint::int, $4::text)")         \
    X(VOID, WRITE,                                                                                 \
      "SELECT void_approval($1::bigint, $2::bigint, $3::text, $4::text, $5::text, $6::text)")      \
    X(SEE_POLICIES, WRITE, "SELECT see_policies($1::bigint, $2::text[], $3::text[])")              \
    X(GUARDS, READ,                                                                                \
      "WITH t AS MATERIALIZED (SELECT clock_ms($1::bigint) AS now), "                              \
      "p AS MATERIALIZED (SELECT coalesce(sum(count), 0) AS population, coalesce(min(at_ms), 0) "  \
      "AS counted FROM population WHERE policy = $2::text), "                                      \
      "f AS MATERIALIZED (SELECT coalesce(sum(count) FILTER (WHERE day = now / 86400000), 0) AS "  \
      "today, coalesce(max(count) FILTER (WHERE day < now / 86400000), 0) AS past, count(*) "      \
      "FILTER (WHERE day < now / 86400000) AS days FROM t LEFT JOIN found ON policy = $2 AND "     \
      "day >= now / 86400000 - 14)"                                                                \
      ", s AS MATERIALIZED (SELECT count(*) FILTER (WHERE bad) AS bad, count(*) AS total FROM "    \
      "(SELECT bad FROM result WHERE key = ($4::text[])[1] ORDER BY sequence DESC LIMIT 20) x) "   \
      "SELECT coalesce((SELECT remediation FROM lock WHERE resource = $3::text), 0), "             \
      "coalesce((SELECT frozen FROM lock WHERE resource = $3), false), "                           \
      "(SELECT count(*) FROM remediation WHERE resource = $3 AND policy = $2 "                     \
      "AND healed_ms > now - 86400000), "                                                          \
      "coalesce((SELECT max(healed_ms) FROM remediation WHERE resource = $3 AND policy = $2), "    \
      "0), population::bigint, counted, today::bigint, past::bigint, days, k.key IS NOT NULL, "    \
      "(SELECT count(*) FROM permit m WHERE m.key = k.key), "                                      \
      "(SELECT count(*) FROM permit m WHERE m.key = k.key AND m.probe), "                          \
      "CASE WHEN k.per_hour = 0 THEN 0 ELSE (SELECT count(*) FROM begun b WHERE b.key = k.key "    \
      "AND b.at_ms > now - 3600000) END, coalesce(b.opened_ms, 0), coalesce(b.open_for_ms, 0), "   \
      "coalesce(b.tripped_ms, 0), coalesce(b.probes_good, 0), coalesce(b.probes_bad, 0), "         \
      "coalesce(b.slow_until_ms, 0), s.bad, s.total FROM t, p, f, s LEFT JOIN unnest($4::text[], " \
      "$5::int[]) WITH "                                                                           \
      "ORDINALITY AS k (key, per_hour, n) ON true LEFT JOIN breaker b ON b.key = k.key "           \
      "ORDER BY k.n")                                                                              \
    X(ROLLOUT, READ,                                                                               \
      "SELECT " POSTGRES_POLICY_COLUMNS                                                            \
      ", coalesce((SELECT c.seat FROM cohort c WHERE c.policy = "                                  \
      "r.policy AND c.resource = $2::text), false), EXISTS (SELECT FROM cohort c WHERE c.policy "  \
      "= r.policy AND c.account = $3::text AND c.stage = r.stage AND c.outcome = 'refused') "      \
      "FROM rollout r WHERE r.policy = $1::text")                                                  \
    X(POLICIES, READ,                                                                              \
      "SELECT " POSTGRES_POLICY_COLUMNS " FROM rollout r ORDER BY r.policy COLLATE \"C\"")         \
    X(ROLLOUT_SET, WRITE,                                                                          \
      "SELECT set_rollout($1::bigint, $2::bigint::int, $3::text, $4::text, $5::bigint::int, "      \
      "$6::bool, $7::bool, $8::bigint, $9::text, $10::text, $11::bytea)")                          \
    X(COUNTED, WRITE, "SELECT set_counted($1::bigint, $2::text, $3::text, $4::bigint)")            \
    X(BREAKER_SET, WRITE, "SELECT set_breaker($1::bigint, $2::text, $3::bigint, $4::text)")        \
    X(LIST, READ, "SELECT " POSTGRES_COLUMNS "WHERE " POSTGRES_FILTER)                             \
    X(LIST_ACTIVE, READ, "SELECT " POSTGRES_COLUMNS "WHERE r.active AND " POSTGRES_FILTER)         \
    X(COUNTS, READ,                                                                                \
      "SELECT state, count(*) FROM remediation WHERE active GROUP BY state UNION ALL "             \
      "SELECT state, count FROM ended_count UNION ALL "                                            \
      "SELECT ended, count(*) FROM leaf WHERE ended IS NOT NULL GROUP BY ended")                   \
    X(LEAVES, READ,                                                                                \
      "SELECT position, text, hash FROM record WHERE position >= $1::bigint "                      \
      "ORDER BY position LIMIT $2::bigint")                                                        \
    X(LEAVES_OF, READ,                                                                             \
      "SELECT position, text, hash FROM record WHERE remediation = $3::bigint "                    \
      "AND position >= $1::bigint ORDER BY position LIMIT $2::bigint")                             \
    X(CHECKPOINT, READ, "SELECT size, root, at_ms FROM head")                                      \
    X(UNSEQUENCED, READ, "SELECT 1 FROM leaf LIMIT 1")                                             \
    X(HEAD_TRY, WRITE, "SELECT size, peaks FROM head FOR UPDATE SKIP LOCKED")                      \
    X(HEAD_WAIT, WRITE, "SELECT size, peaks FROM head FOR UPDATE")                                 \
    X(LEAF_BATCH, WRITE, "SELECT id, hash FROM leaf ORDER BY id LIMIT $1::bigint")                 \
    X(SEQUENCE, WRITE,                                                                             \
      "SELECT sequence_leaves($1::bigint, $2::bigint, $3::bigint[], $4::bytea, $5::bytea)")        \
    X(PLAN_TASKS, WRITE, "SELECT plan_tasks($1::bigint, $2::text[], $3::bigint[], $4::bigint[])")  \
    X(TAKE_TASK, WRITE, "SELECT * FROM take_task($1::bigint, $2::text, $3::bigint)")               \
    X(GET_TASK, READ, "SELECT * FROM get_task($1::bigint, $2::text)")                              \
    X(END_TASK, WRITE,                                                                             \
      "SELECT end_task($1::bigint, $2::text, $3::bigint, $4::bigint, $5::bool, $6::text, "         \
      "$7::bool)")                                                                                 \
    X(SET_NOTE, WRITE,                                                                             \
      "SELECT set_note($1::bigint, $2::text, $3::text, $4::bigint, $5::text, $6::text, $7::text)") \
    X(GET_NOTES, READ, "SELECT * FROM get_notes($1::bigint, $2::text[])")                          \
    X(LIST_NOTES, READ, "SELECT * FROM list_notes($1::bigint, $2::text, $3::bigint)")              \
    X(PURGE, WRITE, "SELECT purge($1::bigint, $2::bigint), purge_outbox($1, $2)")                  \
    X(TELL, WRITE,                                                                                 \
      "SELECT tell($1::bigint, $2::bigint, $3::text[], $4::text[], $5::text[], $6::text[], "       \
      "$7::bigint[])")                                                                             \
    X(TAKE_CHANNEL, WRITE, "SELECT * FROM take_channel($1::bigint, $2::bigint)")                   \
    X(NOTICES_DUE, READ,                                                                           \
      POSTGRES_NOTICE "WHERE o.channel = $2::text AND o.due_ms <= clock_ms($1::bigint) "           \
                      "ORDER BY o.id LIMIT $3::bigint")                                            \
    X(GIVE_NOTICES, WRITE,                                                                         \
      "SELECT give_notices($1::bigint, $2::text, $3::bigint, $4::bigint, $5::bigint[], "           \
      "$6::int[], $7::bigint[], $8::int[], $9::text[], $10::text[], $11::text[], $12::text[])")    \
    X(NOTICES, READ,                                                                               \
      POSTGRES_NOTICE "WHERE o.id < $1::bigint AND ($2::text = '' OR o.state = $2) AND "           \
                      "($3::bigint = 0 OR o.remediation = $3) ORDER BY o.id DESC "                 \
                      "LIMIT $4::bigint")

enum postgres_statement {
#define POSTGRES_ENUM(name, kind, sql) POSTGRES_##name,
    POSTGRES_STATEMENTS(POSTGRES_ENUM)
#undef POSTGRES_ENUM
        POSTGRES_STATEMENT_COUNT
};

#endif
