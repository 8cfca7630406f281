// SPDX-License-Identifier: Apache-2.0
/* Every statement of the SQLite backend, prepared once when first used. The schema stands in
 * sqlite_open.c. Columns and parameters are counted in the order in which they stand here. */
#ifndef RECTIFY_STORE_SQLITE_STATEMENTS_H
#define RECTIFY_STORE_SQLITE_STATEMENTS_H

#define REMEDIATION_COLUMNS                                                                        \
    "r.id, r.kind, r.state, r.step, r.version, r.epoch, r.sequence, r.sequence_seen, "             \
    "r.created_ms, r.updated_ms, r.due_ms, r.policy, r.policy_hash, r.resource, r.region, "        \
    "r.reason, r.settled_ms, d.json, d.newer"

/* The reference is the thread's: what the newest of it was answered. */
#define NOTICE_COLUMNS                                                                             \
    "o.id, o.remediation, o.channel, o.kind, o.thread, o.body, o.created_ms, o.due_ms, "           \
    "o.attempts, o.state, o.error, coalesce((SELECT p.reference FROM outbox p WHERE o.thread <> "  \
    "'' AND p.thread = o.thread AND p.channel = o.channel AND p.reference <> '' ORDER BY p.id "    \
    "DESC LIMIT 1), o.reference) FROM outbox o "

#define TASK_COLUMNS "name, due_ms, epoch, ran_ms, note"

#define SQLITE_STATEMENTS(X)                                                                       \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(HEAD, "UPDATE head SET size = ?1, root = ?2, peaks = ?3, at_ms = ?4, wall_ms = ?5")          \
    X(COUNT_SET, "INSERT INTO state_count(state, count) VALUES (?1, ?2) "                          \
                 "ON CONFLICT(state) DO UPDATE SET count = ?2")                                    \
    X(RECORD, "INSERT INTO record(position, remediation, text, hash) VALUES (?1, ?2, ?3, ?4)")     \
    X(EVENT, "INSERT INTO event(key, at_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING")               \
    X(EVENT_PURGE, "DELETE FROM event WHERE at_ms < ?1 AND sequence < "                            \
                   "(SELECT min(sequence) + 1000 FROM event)")                                     \
    X(OWN_CALL_SET, "INSERT INTO own_call(request_id, remediation, at_ms) "                        \
                    "VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")                                  \
    X(OWN_CALL, "SELECT r.id, r.state, r.step, r.version, r.policy, r.resource FROM own_call c "   \
                "JOIN remediation r ON r.id = c.remediation WHERE c.request_id = ?1")              \
    X(VERIFY_DUE, "UPDATE remediation SET due_ms = min(due_ms, ?2) "                               \
                  "WHERE id = ?1 AND state = 'verifying'")                                         \
    X(OWN_CALL_PURGE, "DELETE FROM own_call WHERE request_id IN (SELECT request_id "               \
                      "FROM own_call WHERE at_ms < ?1 ORDER BY at_ms LIMIT 1000)")                 \
    X(RESULT_PURGE, "DELETE FROM result WHERE at_ms < ?1 AND sequence < "                          \
                    "(SELECT min(sequence) + 1000 FROM result)")                                   \
    X(BEGUN_PURGE, "DELETE FROM begun WHERE minute < ?1")                                          \
    X(ACTIVE, "SELECT id, state, step, version, due_ms FROM remediation "                          \
              "WHERE resource = ?1 AND policy = ?2 AND kind = ?3 AND active = 1")                  \
    X(INSERT, "INSERT INTO remediation(kind, state, created_ms, updated_ms, due_ms, settled_ms, "  \
              "policy, policy_hash, resource, region, reason, active) "                            \
              "VALUES (?1, ?2, ?3, ?3, ?4, ?4, ?5, ?6, ?7, ?8, '', 1)")                            \
    X(DETAIL_INSERT, "INSERT INTO detail(id, json) VALUES (?1, ?2)")                               \
    X(DETAIL_SET, "UPDATE detail SET json = ?2 WHERE id = ?1")                                     \
    X(DETAIL_NEWER, "UPDATE detail SET newer = ?2, newer_hash = ?3 WHERE id = ?1")                 \
    X(DETAIL_NEWEST, "SELECT newer, newer_hash FROM detail WHERE id = ?1")                         \
    X(SEQUENCE, "UPDATE remediation SET sequence = sequence + 1, updated_ms = ?2, "                \
                "settled_ms = max(settled_ms, ?3) WHERE id = ?1")                                  \
    X(SEQUENCE_DUE, "UPDATE remediation SET sequence = sequence + 1, updated_ms = ?2, "            \
                    "settled_ms = max(settled_ms, ?3), due_ms = ?3 WHERE id = ?1")                 \
    X(FREE, "SELECT id, epoch, state, leased_by, released_ms, due_ms FROM remediation "            \
            "INDEXED BY remediation_free WHERE due_ms IS NOT NULL AND lease_end_ms = 0 "           \
            "ORDER BY due_ms")                                                                     \
    X(LEASED, "SELECT id, epoch, lease_end_ms FROM remediation INDEXED BY remediation_active "     \
              "WHERE active = 1 AND lease_end_ms > 0")                                             \
    X(LEASE_OVER, "SELECT epoch, due_ms FROM remediation WHERE id = ?1 AND lease_end_ms > 0")      \
    X(WHOSE, "SELECT substr(resource, 1, 16), due_ms FROM remediation INDEXED BY "                 \
             "remediation_whose WHERE due_ms IS NOT NULL AND lease_end_ms = 0 AND "                \
             "substr(resource, 1, 16) > ?1 ORDER BY substr(resource, 1, 16), due_ms LIMIT 1")      \
    X(FREE_OF, "SELECT id, epoch, state, leased_by, released_ms, due_ms FROM remediation "         \
               "INDEXED BY remediation_whose WHERE due_ms IS NOT NULL AND lease_end_ms = 0 AND "   \
               "substr(resource, 1, 16) = ?1 AND due_ms <= ?2 ORDER BY due_ms LIMIT ?3")           \
    X(CLAIM, "UPDATE remediation SET epoch = ?2, lease_ms = ?3, lease_end_ms = ?4, "               \
             "leased_by = ?5 WHERE id = ?1")                                                       \
    X(END_LEASES, "UPDATE remediation INDEXED BY remediation_active SET released_ms = ?1, "        \
                  "lease_end_ms = 0 WHERE active = 1 AND lease_end_ms > 0 AND id NOT IN "          \
                  "(SELECT value FROM json_each(?2))")                                             \
    X(GET, "SELECT " REMEDIATION_COLUMNS " FROM remediation r JOIN detail d ON d.id = r.id "       \
           "WHERE r.id = ?1")                                                                      \
    X(LIST, "SELECT " REMEDIATION_COLUMNS " FROM remediation r JOIN detail d ON d.id = r.id "      \
            "WHERE r.id < ?1 ORDER BY r.id DESC")                                                  \
    X(LIST_ACTIVE, "SELECT " REMEDIATION_COLUMNS " FROM remediation r JOIN detail d ON d.id = "    \
                   "r.id WHERE r.id < ?1 AND r.active = 1 ORDER BY r.id DESC")                     \
    X(CONDITIONS, "SELECT kind, state, version, epoch, sequence, sequence_seen, lease_ms, "        \
                  "released_ms, holds, policy, policy_hash, resource, region, due_ms, settled_ms " \
                  "FROM remediation WHERE id = ?1")                                                \
    X(ADVANCE, "UPDATE remediation SET state = ?2, step = ?3, version = ?4, due_ms = ?5, "         \
               "updated_ms = ?6, reason = ?7, lease_end_ms = ?8, released_ms = ?9, holds = ?10, "  \
               "sequence_seen = ?11 WHERE id = ?1")                                                \
    X(FINISH, "UPDATE remediation SET state = ?2, step = ?3, version = ?4, due_ms = NULL, "        \
              "updated_ms = ?5, reason = ?6, lease_end_ms = 0, holds = 0, active = NULL, "         \
              "healed_ms = ?7 WHERE id = ?1")                                                      \
    X(TOUCH, "UPDATE remediation SET due_ms = ?2, updated_ms = ?3 WHERE id = ?1")                  \
    X(LOCK_GET, "SELECT remediation, frozen FROM lock WHERE resource = ?1")                        \
    X(LOCK, "INSERT INTO lock(resource, remediation, frozen) VALUES (?1, ?2, 0)")                  \
    X(LOCK_FREEZE, "INSERT INTO lock(resource, remediation, frozen) VALUES (?1, ?2, 1) "           \
                   "ON CONFLICT(resource) DO UPDATE SET remediation = ?2, frozen = 1")             \
    X(UNLOCK, "DELETE FROM lock WHERE resource = ?1 AND remediation = ?2")                         \
    X(PERMIT, "INSERT INTO permit(remediation, key, unit, probe, in_a_row, percent, share_of, "    \
              "window_ms, open_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO "    \
              "NOTHING")                                                                           \
    X(METER, "SELECT opened_ms, open_for_ms, tripped_ms, probes_good, probes_bad, slow_until_ms, " \
             "at_once, probes, CASE WHEN ?2 THEN (SELECT coalesce(sum(count), 0) FROM begun "      \
             "WHERE begun.key = ?1 AND minute >= ?2) END FROM (SELECT count(*) at_once, "          \
             "coalesce(sum(probe), 0) probes FROM permit WHERE key = ?1) LEFT JOIN breaker b "     \
             "ON b.key = ?1")                                                                      \
    X(PERMITS_OF, "SELECT key, unit, probe, in_a_row, percent, share_of, window_ms, open_ms "      \
                  "FROM permit WHERE remediation = ?1")                                            \
    X(PERMITS_GIVE, "DELETE FROM permit WHERE remediation = ?1")                                   \
    X(WAKE_ONE, "UPDATE remediation SET due_ms = ?2 WHERE id = (SELECT id FROM remediation "       \
                "WHERE lease_end_ms = 0 AND due_ms > ?2 AND state = 'held' AND step = 1 AND "      \
                "policy = ?1 ORDER BY due_ms LIMIT 1)")                                            \
    X(WAKE_POLICY, "UPDATE remediation SET due_ms = ?2 + (id * 7919) % ?3 WHERE "                  \
                   "due_ms > ?2 AND state = 'held' AND step > 0 AND policy = ?1 AND "              \
                   "(step <= 2 + ?4 OR ?5 OR policy_hash <> ?6)")                                  \
    X(BEGUN, "INSERT INTO begun(key, minute, count) VALUES (?1, ?2, 1) "                           \
             "ON CONFLICT DO UPDATE SET count = count + 1")                                        \
    X(BREAKER, "SELECT opened_ms, open_for_ms, tripped_ms, probes_good, probes_bad, "              \
               "slow_until_ms, results_after FROM breaker WHERE key = ?1")                         \
    X(BREAKER_SET, "INSERT INTO breaker(key, opened_ms, open_for_ms, tripped_ms, probes_good, "    \
                   "probes_bad, slow_until_ms, results_after) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "    \
                   "?7, CASE WHEN ?8 THEN (SELECT coalesce(max(sequence), 0) FROM result) "        \
                   "ELSE 0 END) ON CONFLICT(key) DO UPDATE SET opened_ms = ?2, "                   \
                   "open_for_ms = ?3, tripped_ms = ?4, probes_good = ?5, probes_bad = ?6, "        \
                   "slow_until_ms = ?7, results_after = CASE WHEN ?8 THEN "                        \
                   "excluded.results_after ELSE results_after END")                                \
    X(RESULT_EACH, "INSERT INTO result(key, unit, at_ms, bad) SELECT key, unit, ?2, ?3 "           \
                   "FROM permit WHERE remediation = ?1 AND open_ms > 0 AND "                       \
                   "(?4 OR key GLOB '" CALL_KEY_PREFIX "*')")                                      \
    X(RESULTS, "SELECT unit, bad FROM result WHERE key = ?1 AND sequence > ?2 "                    \
               "AND at_ms >= ?3 ORDER BY sequence DESC LIMIT ?4")                                  \
    X(RECORD_OF, "SELECT coalesce(sum(bad), 0), count(*) FROM (SELECT bad FROM result WHERE "      \
                 "key = ?1 ORDER BY sequence DESC LIMIT 20)")                                      \
    X(ROLLOUT, "SELECT hash, secret, stage, paused, done, undo, since_ms, good, waived_ms, "       \
               "by_whom, reason, (SELECT count(*) FROM cohort c INDEXED BY cohort_seat WHERE "     \
               "c.policy = r.policy AND c.seat), policy FROM rollout r WHERE policy = ?1")         \
    X(ROLLOUTS, "SELECT hash, secret, stage, paused, done, undo, since_ms, good, waived_ms, "      \
                "by_whom, reason, (SELECT count(*) FROM cohort c WHERE c.policy = r.policy "       \
                "AND c.seat), policy FROM rollout r ORDER BY policy")                              \
    X(ROLLOUT_SET, "INSERT INTO rollout(policy, hash, secret, stage, paused, done, undo, "         \
                   "since_ms, good, waived_ms, by_whom, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "  \
                   "?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT(policy) DO UPDATE SET hash = ?2, "      \
                   "secret = ?3, stage = ?4, paused = ?5, done = ?6, undo = ?7, since_ms = ?8, "   \
                   "good = ?9, waived_ms = ?10, by_whom = ?11, reason = ?12")                      \
    X(ROLLOUT_GOOD, "UPDATE rollout SET good = good + 1 WHERE policy = ?1 AND stage = ?2")         \
    X(SEAT, "SELECT seat, stage, outcome FROM cohort WHERE policy = ?1 AND resource = ?2")         \
    X(SEAT_OF, "SELECT stage FROM cohort WHERE policy = ?1 AND resource = ?2 AND "                 \
               "remediation = ?3")                                                                 \
    X(SEAT_TAKE, "INSERT INTO cohort(policy, resource, account, stage, seat, remediation) VALUES " \
                 "(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(policy, resource) DO UPDATE SET "           \
                 "stage = ?4, seat = max(seat, ?5), remediation = ?6, outcome = NULL")             \
    X(SEAT_END, "UPDATE cohort SET outcome = ?3, seat = CASE WHEN ?3 = 'refused' THEN 0 ELSE "     \
                "seat END WHERE policy = ?1 AND resource = ?2")                                    \
    X(SEAT_FREE, "DELETE FROM cohort WHERE policy = ?1 AND resource = ?2 AND remediation = ?3 "    \
                 "AND outcome IS NULL")                                                            \
    X(SEATS_FREE, "DELETE FROM cohort WHERE policy = ?1")                                          \
    X(REFUSED_HERE, "SELECT 1 FROM cohort INDEXED BY cohort_refused WHERE policy = ?1 AND "        \
                    "account = ?2 AND stage = ?3 AND outcome = 'refused' LIMIT 1")                 \
    X(STAGE_HEALED, "SELECT r.id, r.resource, r.region, r.policy_hash FROM cohort c "              \
                    "JOIN remediation r ON r.id = c.remediation WHERE c.policy = ?1 AND "          \
                    "c.stage = ?2 AND c.outcome = 'good'")                                         \
    X(COUNTED, "INSERT INTO population(policy, place, count, at_ms) VALUES (?1, ?2, ?3, ?4) "      \
               "ON CONFLICT(policy, place) DO UPDATE SET count = ?3, at_ms = ?4")                  \
    X(POPULATION, "SELECT coalesce(sum(count), 0), coalesce(min(at_ms), 0) FROM population "       \
                  "WHERE policy = ?1")                                                             \
    X(FOUND, "INSERT INTO found(policy, day, count) VALUES (?1, ?2, 1) "                           \
             "ON CONFLICT DO UPDATE SET count = count + 1")                                        \
    X(FOUND_LOOK, "SELECT coalesce(sum(count) FILTER (WHERE day = ?2), 0), "                       \
                  "coalesce(max(count) FILTER (WHERE day < ?2), 0), "                              \
                  "count(*) FILTER (WHERE day < ?2) FROM found WHERE policy = ?1 "                 \
                  "AND day >= ?2 - 14")                                                            \
    X(HEALED, "SELECT count(*), max(healed_ms) FROM remediation WHERE resource = ?1 "              \
              "AND policy = ?2 AND healed_ms > ?3")                                                \
    X(LAST_HEALED, "SELECT max(healed_ms) FROM remediation WHERE resource = ?1 AND policy = ?2 "   \
                   "AND healed_ms IS NOT NULL")                                                    \
    X(APPROVAL, "SELECT plan_hash, expires_ms, decided, yes, by_whom, reason, consumed, ask, "     \
                "need, via, votes FROM approval WHERE remediation = ?1")                           \
    X(ASK, "INSERT INTO approval(remediation, plan_hash, asked_ms, expires_ms, ask, need, via) "   \
           "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT(remediation) DO UPDATE SET "           \
           "plan_hash = ?2, asked_ms = ?3, expires_ms = ?4, ask = ?5, need = ?6, via = ?7, "       \
           "decided = 0, yes = 0, by_whom = '', reason = '', votes = '', consumed = 0")            \
    X(VOTE, "UPDATE approval SET votes = ?2, decided = ?3, yes = ?4, by_whom = ?5, reason = ?6 "   \
            "WHERE remediation = ?1")                                                              \
    X(VOID, "UPDATE approval SET consumed = 1 WHERE remediation = ?1 AND ask = ?2 AND "            \
            "consumed = 0")                                                                        \
    X(VOID_OF, "UPDATE approval SET consumed = 1 WHERE consumed = 0 AND remediation IN "           \
               "(SELECT id FROM remediation WHERE policy = ?1 AND active = 1)")                    \
    X(DUE_OF, "UPDATE remediation SET due_ms = min(due_ms, ?2) WHERE policy = ?1 AND active = 1 "  \
              "AND state = 'asking'")                                                              \
    X(SEEN, "SELECT hash FROM policy_seen WHERE name = ?1")                                        \
    X(SEEN_SET, "INSERT INTO policy_seen(name, hash) VALUES (?1, ?2) ON CONFLICT(name) DO UPDATE " \
                "SET hash = ?2")                                                                   \
    X(CONSUME, "UPDATE approval SET consumed = 1 WHERE remediation = ?1")                          \
    X(TASK_PLAN, "INSERT INTO task(name, due_ms) VALUES (?1, ?2) ON CONFLICT(name) DO UPDATE "     \
                 "SET due_ms = ?3 WHERE due_ms > ?3")                                              \
    X(TASK_NEXT, "SELECT " TASK_COLUMNS                                                            \
                 " FROM task WHERE ?1 = '' OR name = ?1 ORDER BY due_ms, name LIMIT 1")            \
    X(TASK_GET, "SELECT " TASK_COLUMNS " FROM task WHERE name = ?1")                               \
    X(TASK_TAKE, "UPDATE task SET due_ms = ?2, epoch = ?3 WHERE name = ?1")                        \
    X(TASK_END, "UPDATE task SET due_ms = ?3, ran_ms = CASE ?4 WHEN 0 THEN ran_ms ELSE ?4 END, "   \
                "note = CASE ?6 WHEN 0 THEN note ELSE ?5 END WHERE name = ?1 AND epoch = ?2")      \
    X(TASK_FORGET, "DELETE FROM task WHERE name = ?1 AND epoch = ?2")                              \
    X(NOTE_EXPIRE, "DELETE FROM note WHERE expires_ms > 0 AND expires_ms <= ?1")                   \
    X(NOTE_FORGET, "DELETE FROM note WHERE key = ?1")                                              \
    X(NOTE_SET, "INSERT INTO note(key, body, expires_ms) VALUES (?1, ?2, ?3) "                     \
                "ON CONFLICT(key) DO UPDATE SET body = ?2, expires_ms = ?3")                       \
    X(NOTE_GET, "SELECT key, body, expires_ms FROM note WHERE key = ?1 "                           \
                "AND (expires_ms = 0 OR expires_ms > ?2)")                                         \
    X(NOTE_LIST, "SELECT key, body, expires_ms FROM note WHERE key >= ?1 AND "                     \
                 "substr(key, 1, length(?1)) = ?1 AND (expires_ms = 0 OR expires_ms > ?2) "        \
                 "ORDER BY key LIMIT ?3")                                                          \
    X(LEAVES, "SELECT position, text, hash FROM record WHERE position >= ?1 "                      \
              "ORDER BY position LIMIT ?2")                                                        \
    X(LEAVES_OF, "SELECT position, text, hash FROM record WHERE remediation = ?1 "                 \
                 "AND position >= ?2 ORDER BY position LIMIT ?3")                                  \
    X(CHANNEL_PUT, "INSERT INTO channel(name) VALUES (?1) ON CONFLICT DO NOTHING")                 \
    X(NOTICE_HURRY, "UPDATE outbox SET due_ms = min(due_ms, ?3) WHERE thread = ?2 AND "            \
                    "thread <> '' AND channel = ?1 AND due_ms IS NOT NULL")                        \
    X(NOTICE_PUT, "INSERT INTO outbox(remediation, channel, kind, thread, body, created_ms, "      \
                  "due_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")                                   \
    X(CHANNELS, "SELECT c.name, c.free_ms, c.epoch, (SELECT min(o.due_ms) FROM outbox o WHERE "    \
                "o.channel = c.name AND o.due_ms IS NOT NULL) AS due FROM channel c "              \
                "WHERE due IS NOT NULL")                                                           \
    X(CHANNEL_TAKE, "UPDATE channel SET free_ms = ?2, epoch = ?3 WHERE name = ?1")                 \
    X(CHANNEL_GIVE, "UPDATE channel SET free_ms = ?2 WHERE name = ?1 AND epoch = ?3")              \
    X(NOTICES_DUE, "SELECT " NOTICE_COLUMNS "WHERE o.channel = ?1 AND o.due_ms <= ?2 "             \
                   "ORDER BY o.id LIMIT ?3")                                                       \
    X(NOTICE_END, "UPDATE outbox SET state = ?2, due_ms = ?3, attempts = attempts + ?4, "          \
                  "reference = CASE ?5 WHEN '' THEN reference ELSE ?5 END, error = ?6, "           \
                  "ended_ms = ?7 WHERE id = ?1")                                                   \
    X(NOTICE_PUSH, "UPDATE outbox SET due_ms = max(due_ms, ?2) WHERE due_ms IS NOT NULL AND "      \
                   "id > ?1 AND thread <> '' AND (thread, channel) = "                             \
                   "(SELECT thread, channel FROM outbox WHERE id = ?1)")                           \
    X(NOTICE_PURGE, "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE "                 \
                    "ended_ms < ?1 ORDER BY ended_ms LIMIT 1000)")                                 \
    X(NOTICES, "SELECT " NOTICE_COLUMNS "WHERE o.id < ?1 AND (?2 = '' OR o.state = ?2) AND "       \
               "(?3 = 0 OR o.remediation = ?3) ORDER BY o.id DESC LIMIT ?4")

enum sqlite_statement {
#define STATEMENT_ENUM(name, sql) STATEMENT_##name,
    SQLITE_STATEMENTS(STATEMENT_ENUM)
#undef STATEMENT_ENUM
        STATEMENT_COUNT
};

#endif
