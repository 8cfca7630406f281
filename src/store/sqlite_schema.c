// SPDX-License-Identifier: Apache-2.0
/* The tables of the SQLite backend, and what leads from each version of them to the next. A step
 * that was ever released is not changed any more: what is new is a step of its own at the end. */
#include "store/sqlite_internal.h"

/* due_ms is NULL and active is NULL exactly in terminal states; lease_end_ms is 0 when nobody holds
 * the row. `detail` stands apart so that claims and scans touch small rows only. */
static const char version_2[] =
    "CREATE TABLE head(one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL,"
    " root BLOB NOT NULL, peaks BLOB NOT NULL, at_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL,"
    " instance INTEGER NOT NULL) STRICT;"
    "CREATE TABLE state_count(state TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT "
    "ROWID;"
    "CREATE TABLE event(sequence INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,"
    " at_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE remediation(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL,"
    " step INTEGER NOT NULL DEFAULT 0, version INTEGER NOT NULL DEFAULT 1,"
    " epoch INTEGER NOT NULL DEFAULT 0, sequence INTEGER NOT NULL DEFAULT 0,"
    " sequence_seen INTEGER NOT NULL DEFAULT 0, created_ms INTEGER NOT NULL,"
    " settled_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, due_ms INTEGER, active INTEGER,"
    " lease_ms INTEGER NOT NULL DEFAULT 0, lease_end_ms INTEGER NOT NULL DEFAULT 0,"
    " released_ms INTEGER NOT NULL DEFAULT 0, leased_by INTEGER NOT NULL DEFAULT 0,"
    " holds INTEGER NOT NULL DEFAULT 0, healed_ms INTEGER, policy TEXT NOT NULL,"
    " policy_hash TEXT NOT NULL, resource TEXT NOT NULL, region TEXT NOT NULL,"
    " reason TEXT NOT NULL) STRICT;"
    "CREATE INDEX remediation_due ON remediation(lease_end_ms, due_ms) WHERE due_ms IS NOT NULL;"
    "CREATE UNIQUE INDEX remediation_active ON remediation(resource, policy, kind)"
    " WHERE active = 1;"
    "CREATE INDEX remediation_healed ON remediation(resource, policy, healed_ms)"
    " WHERE healed_ms IS NOT NULL;"
    "CREATE TABLE detail(id INTEGER PRIMARY KEY REFERENCES remediation(id), json TEXT NOT NULL,"
    " newer TEXT, newer_hash TEXT) STRICT;"
    "CREATE TABLE lock(resource TEXT PRIMARY KEY, remediation INTEGER NOT NULL,"
    " frozen INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE permit(policy TEXT, minute INTEGER, count INTEGER NOT NULL,"
    " PRIMARY KEY(policy, minute)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE policy(name TEXT PRIMARY KEY, held INTEGER NOT NULL DEFAULT 0,"
    " opened_ms INTEGER NOT NULL DEFAULT 0, open_for_ms INTEGER NOT NULL DEFAULT 0,"
    " tripped_ms INTEGER NOT NULL DEFAULT 0, results_after INTEGER NOT NULL DEFAULT 0)"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE result(sequence INTEGER PRIMARY KEY, policy TEXT NOT NULL,"
    " resource TEXT NOT NULL, at_ms INTEGER NOT NULL, bad INTEGER NOT NULL) STRICT;"
    "CREATE INDEX result_policy ON result(policy);"
    "CREATE TABLE approval(remediation INTEGER PRIMARY KEY REFERENCES remediation(id),"
    " plan_hash TEXT NOT NULL, asked_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
    " decided INTEGER NOT NULL DEFAULT 0, yes INTEGER NOT NULL DEFAULT 0,"
    " by_whom TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',"
    " consumed INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE record(position INTEGER PRIMARY KEY, remediation INTEGER, text TEXT NOT NULL,"
    " hash BLOB NOT NULL) STRICT;"
    "CREATE TABLE own_call(request_id TEXT PRIMARY KEY, remediation INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX own_call_at ON own_call(at_ms);"
    "CREATE INDEX record_remediation ON record(remediation) WHERE remediation IS NOT NULL;"
    /* the root of a log without leaves */
    "INSERT INTO head VALUES (1, 0, x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852"
    "b855', x'', 0, 0, 0);";

/* The outbox. due_ms is NULL exactly in ended ones. No id is given twice: receivers know
 * repetitions by it. */
static const char outbox[] =
    "CREATE TABLE outbox(id INTEGER PRIMARY KEY AUTOINCREMENT, remediation INTEGER NOT NULL,"
    " channel TEXT NOT NULL, kind TEXT NOT NULL, thread TEXT NOT NULL, body TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL, due_ms INTEGER, attempts INTEGER NOT NULL DEFAULT 0,"
    " state TEXT NOT NULL DEFAULT 'waits', reference TEXT NOT NULL DEFAULT '',"
    " error TEXT NOT NULL DEFAULT '', ended_ms INTEGER) STRICT;"
    "CREATE INDEX outbox_due ON outbox(channel, due_ms) WHERE due_ms IS NOT NULL;"
    "CREATE INDEX outbox_thread ON outbox(thread, channel) WHERE thread <> '';"
    "CREATE INDEX outbox_ended ON outbox(ended_ms) WHERE ended_ms IS NOT NULL;"
    "CREATE INDEX outbox_remediation ON outbox(remediation);"
    "CREATE TABLE channel(name TEXT PRIMARY KEY, free_ms INTEGER NOT NULL DEFAULT 0,"
    " epoch INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;";

/* What is done again and again. */
static const char tasks[] = "CREATE TABLE task(name TEXT PRIMARY KEY, due_ms INTEGER NOT NULL,"
                            " epoch INTEGER NOT NULL DEFAULT 0, ran_ms INTEGER NOT NULL DEFAULT 0,"
                            " note TEXT NOT NULL DEFAULT '') STRICT;"
                            "CREATE INDEX task_due ON task(due_ms, name);";

/* Permits, results and breakers are kept by key (model/permit.h); a policy has a state. */
static const char permits[] =
    "CREATE TABLE begun(key TEXT, minute INTEGER, count INTEGER NOT NULL,"
    " PRIMARY KEY(key, minute)) STRICT, WITHOUT ROWID;"
    "INSERT INTO begun SELECT 'policy ' || policy, minute, count FROM permit;"
    "DROP TABLE permit;"
    "CREATE TABLE permit(remediation INTEGER NOT NULL, key TEXT NOT NULL, unit TEXT NOT NULL,"
    " probe INTEGER NOT NULL DEFAULT 0, in_a_row INTEGER NOT NULL DEFAULT 0,"
    " percent INTEGER NOT NULL DEFAULT 0, share_of INTEGER NOT NULL DEFAULT 0,"
    " window_ms INTEGER NOT NULL DEFAULT 0, open_ms INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY(remediation, key)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX permit_key ON permit(key, probe);"
    "INSERT INTO permit(remediation, key, unit) SELECT id, 'policy ' || policy, resource"
    " FROM remediation WHERE holds & 1;"
    "CREATE TABLE breaker(key TEXT PRIMARY KEY, opened_ms INTEGER NOT NULL DEFAULT 0,"
    " open_for_ms INTEGER NOT NULL DEFAULT 0, tripped_ms INTEGER NOT NULL DEFAULT 0,"
    " results_after INTEGER NOT NULL DEFAULT 0, probes_good INTEGER NOT NULL DEFAULT 0,"
    " probes_bad INTEGER NOT NULL DEFAULT 0, slow_until_ms INTEGER NOT NULL DEFAULT 0)"
    " STRICT, WITHOUT ROWID;"
    "INSERT INTO breaker(key, opened_ms, open_for_ms, tripped_ms, results_after)"
    " SELECT 'policy ' || name, opened_ms, open_for_ms, tripped_ms, results_after FROM policy;"
    "DROP TABLE policy;"
    "ALTER TABLE result RENAME TO old_result;"
    "DROP INDEX result_policy;"
    "CREATE TABLE result(sequence INTEGER PRIMARY KEY, key TEXT NOT NULL, unit TEXT NOT NULL,"
    " at_ms INTEGER NOT NULL, bad INTEGER NOT NULL) STRICT;"
    "CREATE INDEX result_key ON result(key);"
    "INSERT INTO result SELECT sequence, 'policy ' || policy || ' ' ||"
    " substr(resource, instr(resource, '/') + 1, 12), resource, at_ms, bad FROM old_result;"
    "DROP TABLE old_result;"
    "CREATE TABLE rollout(policy TEXT PRIMARY KEY, hash TEXT NOT NULL, secret BLOB NOT NULL,"
    " stage INTEGER NOT NULL DEFAULT 0, paused INTEGER NOT NULL DEFAULT 0,"
    " done INTEGER NOT NULL DEFAULT 0, undo INTEGER NOT NULL DEFAULT 0,"
    " since_ms INTEGER NOT NULL, good INTEGER NOT NULL DEFAULT 0,"
    " waived_ms INTEGER NOT NULL DEFAULT 0, by_whom TEXT NOT NULL DEFAULT '',"
    " reason TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;"
    "CREATE TABLE cohort(policy TEXT NOT NULL, resource TEXT NOT NULL, account TEXT NOT NULL,"
    " stage INTEGER NOT NULL, seat INTEGER NOT NULL, remediation INTEGER NOT NULL, outcome TEXT,"
    " PRIMARY KEY(policy, resource)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE population(policy TEXT NOT NULL, place TEXT NOT NULL, count INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL, PRIMARY KEY(policy, place)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE found(policy TEXT NOT NULL, day INTEGER NOT NULL, count INTEGER NOT NULL,"
    " PRIMARY KEY(policy, day)) STRICT, WITHOUT ROWID;";

/* A question has a name of its own, is asked on channels, and gathers votes: a JSON list. */
static const char votes[] =
    "ALTER TABLE approval ADD COLUMN ask TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE approval ADD COLUMN need INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE approval ADD COLUMN via TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE approval ADD COLUMN votes TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE policy_seen(name TEXT PRIMARY KEY, hash TEXT NOT NULL) STRICT, WITHOUT ROWID;";

/* What guards remember. */
static const char notes[] =
    "CREATE TABLE note(key TEXT PRIMARY KEY, body TEXT NOT NULL, expires_ms INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    "CREATE INDEX note_expires ON note(expires_ms) WHERE expires_ms > 0;";

/* What is due, and what is due of an account (leases are in memory too, and need no index); what
 * waits for a permit, and the few of a cohort that are counted or looked for. */
static const char shares[] =
    "DROP INDEX remediation_due;"
    "CREATE INDEX remediation_free ON remediation(due_ms)"
    " WHERE due_ms IS NOT NULL AND lease_end_ms = 0;"
    "CREATE INDEX remediation_whose ON remediation(substr(resource, 1, 16), due_ms)"
    " WHERE due_ms IS NOT NULL AND lease_end_ms = 0;"
    "CREATE INDEX remediation_waits ON remediation(policy, due_ms)"
    " WHERE state = 'held' AND step = 1;"
    "CREATE INDEX cohort_seat ON cohort(policy) WHERE seat;"
    "CREATE INDEX cohort_refused ON cohort(policy, account, stage) WHERE outcome = 'refused';";

const struct sqlite_step sqlite_steps[] = {
    {0, 2, version_2}, {2, 3, outbox}, {3, 4, tasks},  {4, 5, permits},
    {5, 6, votes},     {6, 7, notes},  {7, 8, shares}, {0, 0, NULL},
};
