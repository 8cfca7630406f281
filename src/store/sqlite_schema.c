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

const struct sqlite_step sqlite_steps[] = {
    {0, 2, version_2},
    {2, 3, outbox},
    {3, 4, tasks},
    {0, 0, NULL},
};
