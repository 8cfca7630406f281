// SPDX-License-Identifier: Apache-2.0
/* What survives: kill -9 between verbs, a full disk, a folder that cannot be written, a file that
 * is owned, damaged, foreign or newer. */
#include "store_help.h"

#include "store/sqlite_internal.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MOMENT_MS 1000 // of the grace that a dead owner gets

struct fixture {
    struct test_time time;
    char folder[256], path[300];
    struct arena arena;
    struct error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    test_time_init(&f->time);
    test_folder(f->folder, sizeof f->folder);
    snprintf(f->path, sizeof f->path, "%s/s.db", f->folder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    chmod(f->folder, 0700);
    test_folder_remove(f->folder);
    arena_finish(&f->arena);
    free(f);
    return 0;
}

static void must_fail(struct fixture *f, const char *code)
{
    f->err = (struct error){0};
    assert_null(store_open(f->path, &f->time.clock, &f->err));
    assert_string_equal(f->err.code, code);
}

/* Runs `body` in a child, which is killed (or ends) when it has written `wanted` bytes to its pipe.
 */
static size_t in_child(struct fixture *f, void (*body)(struct fixture *f, int out), size_t wanted)
{
    int ends[2];
    char byte;
    size_t got = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        body(f, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    while (got < wanted && read(ends[0], &byte, 1) == 1)
        got++;
    kill(pid, SIGKILL);
    while (read(ends[0], &byte, 1) == 1)
        got++; // said before it died
    close(ends[0]);
    waitpid(pid, NULL, 0);
    return got;
}

static void accept_and_tell(struct fixture *f, int out)
{
    struct error err;
    struct store *store = store_open(f->path, &f->time.clock, &err);
    if (!store)
        _exit(3);
    for (int i = 0;; i++) {
        char key[32], resource[64];
        snprintf(key, sizeof key, "e%d", i);
        snprintf(resource, sizeof resource, BUCKET("b%d"), i);
        struct store_match match = match_of("p", resource, T0);
        struct store_event event = {str_from(key), STR("n"), &match, 1};
        if (store_accept(store, &event, 1, NULL, &err) != STORE_OK || write(out, "x", 1) != 1)
            _exit(1);
    }
    _exit(2);
}

static void test_store__what_was_told_survives_a_kill(void **state)
{
    struct fixture *f = *state;
    for (size_t round = 1; round <= 5; round++) {
        size_t told = in_child(f, accept_and_tell, round * 7);
        assert_true(told >= round * 7);
        struct store *store = open_or_fail(f->path, &f->time.clock);
        for (size_t i = 1; i <= told; i++)
            get(store, (int64_t)i, &f->arena);
        int64_t counts[STATE_COUNT], size = log_size(store);
        assert_int_equal(store_counts(store, counts, &f->err), STORE_OK);
        assert_int_equal(counts[STATE_RECEIVED], size);
        assert_in_range(size, (int64_t)told, (int64_t)told + 1); // durable, but not told yet
        store_close(store);
        test_folder_remove(f->folder);
        assert_int_equal(mkdir(f->folder, 0700), 0);
    }
}

static void call_and_tell(struct fixture *f, int out)
{
    struct store *store = open_or_fail(f->path, &f->time.clock);
    accept_one(store, "e1", "p", BUCKET("a"), T0);
    accept_one(store, "e2", "p", BUCKET("b"), T0);
    struct store_claim claims[2];
    int64_t next;
    if (claim_some(store, 2, claims, &next) != 2)
        _exit(1);
    must_go(store, claims[0], STATE_READING);
    must_go(store, claims[1], STATE_INTENT);
    must_go(store, claims[1], STATE_CALLING);
    if (write(out, "x", 1) != 1)
        _exit(1);
    pause();
}

static void test_store__grace_after_the_owner_died(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(in_child(f, call_and_tell, 1), 1);
    struct store_claim claims[2];
    int64_t next;
    /* Half a lease later the reading row is free at once, the calling one a moment later, counted
     * from now, when its process is known to be dead. */
    f->time.now = T0 + LEASE_MS / 2;
    struct store *store = open_or_fail(f->path, &f->time.clock);
    assert_int_equal(claim_some(store, 2, claims, &next), 1);
    assert_int_equal(claims[0].id, 1);
    assert_int_equal(claims[0].epoch, 2);
    assert_int_equal(next, T0 + LEASE_MS / 2 + MOMENT_MS);
    store_close(store);
    /* Opened once more: the moment does not start again. */
    f->time.now += MOMENT_MS - 1;
    store = open_or_fail(f->path, &f->time.clock);
    assert_int_equal(claim_some(store, 2, claims, &next), 1);
    f->time.now++;
    assert_int_equal(claim_some(store, 2, claims, &next), 1);
    assert_int_equal(claims[0].id, 2);
    /* Our own lease that ran out needs none: the epoch at the gate stops us. */
    f->time.now += LEASE_MS;
    assert_int_equal(claim_some(store, 2, claims, &next), 2);
    store_close(store);
}

static void test_store__lease_that_ended_before_death_counts_from_its_end(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(in_child(f, call_and_tell, 1), 1);
    struct store_claim claims[2];
    int64_t next;
    f->time.now = T0 + LEASE_MS + MOMENT_MS - 1;
    struct store *store = open_or_fail(f->path, &f->time.clock);
    assert_int_equal(claim_some(store, 2, claims, &next), 1);
    assert_int_equal(next, T0 + LEASE_MS + MOMENT_MS);
    f->time.now++;
    assert_int_equal(claim_some(store, 2, claims, &next), 1);
    store_close(store);
}

static void test_store__grace_of_nothing_is_nothing(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(in_child(f, call_and_tell, 1), 1);
    struct store_claim claims[2];
    size_t count;
    int64_t next;
    struct store *store = open_or_fail(f->path, &f->time.clock);
    assert_int_equal(store_claim(store, 2, LEASE_MS, 0, claims, &count, &next, &f->err), STORE_OK);
    assert_int_equal(count, 2);
    store_close(store);
}

/* ---- kill -9 at random under load ---- */

#define HEALERS 3

struct load {
    struct store *store;
    int64_t round;
    int out;
};

static void *feed(void *arg)
{
    struct load *load = arg;
    struct error err;
    for (int i = 0;; i++) {
        char key[48], resource[96];
        snprintf(key, sizeof key, "e%lld-%d", (long long)load->round, i);
        snprintf(resource, sizeof resource, BUCKET("b%d"), i % 40);
        struct store_match match = match_of(i % 2 ? "p" : "q", resource, T0);
        struct store_event event = {str_from(key), STR("n"), &match, 1};
        if (store_accept(load->store, &event, 1, NULL, &err) != STORE_OK)
            _exit(1);
        if (write(load->out, "x", 1) != 1)
            _exit(1);
    }
    return NULL;
}

/* Walks what it claims as far as locks let it. */
static void *heal(void *arg)
{
    static const enum state way[] = {STATE_READING, STATE_DECIDING,  STATE_INTENT,
                                     STATE_CALLING, STATE_VERIFYING, STATE_HEALED};
    struct load *load = arg;
    struct arena arena = {0};
    struct error err;
    for (;;) {
        struct store_claim claim;
        struct remediation r;
        size_t count;
        int64_t next;
        if (store_claim(load->store, 1, LEASE_MS, 0, &claim, &count, &next, &err) != STORE_OK)
            _exit(1);
        if (count == 0 || store_get(load->store, claim.id, &arena, &r, &err) != STORE_OK)
            continue;
        struct permit_pair pair = permit_pair_of(&r);
        struct store_transition t = {.id = r.id, .version = r.version, .epoch = claim.epoch};
        for (size_t i = 0; i < sizeof way / sizeof *way; i++, t.version++) {
            t.to = way[i];
            t.lock = t.to == STATE_INTENT;
            t.permits = pair.list;
            t.permit_count = t.lock ? 2 : 0;
            t.outcome = t.to == STATE_HEALED ? OUTCOME_GOOD : OUTCOME_NONE;
            t.keep_lease = t.to != STATE_HEALED;
            enum store_result got = store_advance(load->store, &t, t.lock || i % 2, &err);
            if (got == STORE_LOCKED || got == STORE_LIMITED) {
                t.to = STATE_HELD;
                t.lock = t.keep_lease = false;
                t.permit_count = 0;
                got = store_advance(load->store, &t, true, &err);
                break;
            }
            if (got != STORE_OK)
                _exit(1);
        }
        arena_reset(&arena);
    }
    return NULL;
}

static void work_under_load(struct fixture *f, int out)
{
    struct load load = {.out = out, .round = f->time.now};
    pthread_t id;
    load.store = open_or_fail(f->path, &f->time.clock);
    for (int i = 0; i < HEALERS; i++)
        if (pthread_create(&id, NULL, heal, &load) != 0)
            _exit(1);
    feed(&load);
}

static int64_t number(sqlite3 *db, const char *text)
{
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t result = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return result;
}

/* Each pair has to be equal, whenever the file is at rest. */
static const char *const invariants[][2] = {
    {"SELECT count(*) FROM record", "SELECT size FROM head"},
    {"SELECT count(*) FROM permit", "SELECT 2 * count(*) FROM remediation WHERE holds & 1"},
    {"SELECT count(*) FROM permit p JOIN remediation r ON r.id = p.remediation AND r.holds & 1",
     "SELECT count(*) FROM permit"},
    {"SELECT count(*) > 3 FROM permit WHERE key = 'all'", "SELECT 0"},
    {"SELECT count(*) FROM lock", "SELECT count(*) FROM remediation WHERE holds & 2"},
    {"SELECT count(*) FROM lock l JOIN remediation r ON r.id = l.remediation AND "
     "r.resource = l.resource AND r.holds & 2",
     "SELECT count(*) FROM lock"},
    {"SELECT sum(version - 1) FROM remediation",
     "SELECT count(*) FROM record WHERE text ->> 'kind' = 'transition'"},
    {"SELECT count(*) FROM event", "SELECT count(*) FROM record WHERE text ->> 'kind' = 'event'"},
    {"SELECT count(*) FROM remediation",
     "SELECT count(*) FROM record WHERE text ->> 'kind' = 'successor' OR "
     "text ->> 'reason' = 'accepted'"},
    {"SELECT count(*) FROM remediation WHERE state = 'healed'",
     "SELECT count(*) FROM remediation WHERE active IS NULL AND due_ms IS NULL"},
    {"SELECT count(*) FROM (SELECT state, count(*) n FROM remediation GROUP BY state) JOIN "
     "state_count USING (state) WHERE n <> count",
     "SELECT 0"},
    {"SELECT count(*) FROM remediation", "SELECT count(*) FROM detail"},
    {"SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'", "SELECT 0"},
};

static void test_store__killed_under_load_everything_adds_up(void **state)
{
    struct fixture *f = *state;
    int64_t told = 0, healed = 0;
    for (size_t round = 0; round < 12; round++) {
        f->time.now++;
        told += (int64_t)in_child(f, work_under_load, 5 + round * 13 % 50);
        store_close(open_or_fail(f->path, &f->time.clock));
        sqlite3 *db;
        assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
        for (size_t i = 0; i < sizeof invariants / sizeof *invariants; i++)
            if (number(db, invariants[i][0]) != number(db, invariants[i][1]))
                fail_msg("round %zu: %s", round, invariants[i][0]);
        assert_true(number(db, "SELECT count(*) FROM event") >= told);
        healed = number(db, "SELECT count(*) FROM remediation WHERE state = 'healed'");
        sqlite3_close(db);
    }
    assert_true(healed > 0); // there was a load
}

static void test_store__one_process_owns_the_file(void **state)
{
    struct fixture *f = *state;
    char pid[32];
    struct store *store = open_or_fail(f->path, &f->time.clock);
    must_fail(f, "S0001");
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_non_null(strstr(f->err.message, pid));
    accept_one(store, "e1", "p", BUCKET("a"), T0); // and it was not disturbed
    store_close(store);
    store_close(open_or_fail(f->path, &f->time.clock));
}

/* The lock file says who owns the store and how long its log has to be; the latter outlives every
 * owner, however the line of the one before was written. */
static void test_store__how_long_the_log_was_outlives_the_owner(void **state)
{
    static const char *const before[] = {"1234567\n12\n", "1\n12\n", "   1234567\n12\n"};
    struct fixture *f = *state;
    char path[310];
    struct store *store = open_or_fail(f->path, &f->time.clock);
    for (int i = 0; i < 12; i++)
        assert_int_equal(store_record(store, STR("k"), STR("{}"), &f->err), STORE_OK);
    store_close(store);
    snprintf(path, sizeof path, "%s.lock", f->path);
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        char want[64], got[64] = {0};
        int fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
        assert_true(write(fd, before[i], strlen(before[i])) > 0);
        store_close(open_or_fail(f->path, &f->time.clock));
        assert_true(pread(fd, got, sizeof got - 1, 0) > 0);
        close(fd);
        snprintf(want, sizeof want, SQLITE_OWNER_FORMAT "12\n", (long)getpid());
        assert_string_equal(got, want);
    }
}

static void test_store__nobody_else_reads_the_file(void **state)
{
    struct fixture *f = *state;
    struct stat info;
    store_close(open_or_fail(f->path, &f->time.clock));
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void test_store__missing_folder_and_foreign_files(void **state)
{
    struct fixture *f = *state;
    char good[300];
    snprintf(good, sizeof good, "%s", f->path);
    snprintf(f->path, sizeof f->path, "%s/none/s.db", f->folder);
    must_fail(f, "S0002");
    snprintf(f->path, sizeof f->path, "%s", good);
    int fd = open(f->path, O_CREAT | O_WRONLY, 0600);
    for (int i = 0; i < 100; i++)
        assert_int_equal(write(fd, "this is not a database, not at all. ", 36), 36);
    close(fd);
    must_fail(f, "S0003");
    assert_int_equal(unlink(f->path), 0);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE x(y)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    must_fail(f, "S0002");
}

static void sql(struct fixture *f, const char *text)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    char *problem = NULL;
    if (sqlite3_exec(db, text, NULL, NULL, &problem) != SQLITE_OK)
        fail_msg("%s", problem);
    sqlite3_close(db);
}

static void test_store__newer_schema_is_left_alone(void **state)
{
    struct fixture *f = *state;
    store_close(open_or_fail(f->path, &f->time.clock));
    sql(f, "PRAGMA user_version = 99");
    must_fail(f, "S0005");
}

/* The tables of version 2 and what stood in them: a repair at work, results, an open breaker. */
static void make_version_2(struct fixture *f)
{
    sqlite3 *db;
    store_close(open_or_fail(f->path, &f->time.clock)); // for its settings and its head
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    char *all = sqlite3_mprintf(
        "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema; PRAGMA writable_schema = OFF;");
    assert_int_equal(sqlite3_exec(db, all, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_free(all);
    assert_int_equal(sqlite3_exec(db, "VACUUM", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sqlite_steps[0].sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "PRAGMA user_version = 2;"
                     "INSERT INTO remediation(kind, state, created_ms, settled_ms, updated_ms, "
                     "due_ms, active, holds, policy, policy_hash, resource, region, reason) VALUES "
                     "('repair', 'calling', 1, 1, 1, 1, 1, 1, 'p', '00', "
                     "'aws/123456789012/eu/T/a', 'eu', '');"
                     "INSERT INTO detail(id, json) VALUES (1, '{}');"
                     "INSERT INTO state_count VALUES ('calling', 1);"
                     "INSERT INTO policy(name, held, opened_ms, open_for_ms, tripped_ms) VALUES "
                     "('p', 1, 1789999990000, 60000, 1789999990000);"
                     "INSERT INTO permit VALUES ('p', 29833333, 4);"
                     "INSERT INTO result(policy, resource, at_ms, bad) VALUES "
                     "('p', 'aws/123456789012/eu/T/a', 1789999990000, 1)",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
}

static void test_store__older_schema_is_brought_here(void **state)
{
    struct fixture *f = *state;
    struct store_notice notice = {.channel = STR("ops"), .kind = STR("tell")};
    struct error err;
    struct arena arena ARENA_AUTO = {0};
    struct store_guards guards;
    struct permit permit = permit_of("policy p", "u");
    permit.per_hour_max = -1;
    struct store_guard_query query = {STR("p"), STR("00"), STR(BUCKET("a")), &permit, 1};
    make_version_2(f);
    struct store *store = open_or_fail(f->path, &f->time.clock);
    assert_int_equal(store_tell(store, 0, &notice, 1, &err), STORE_OK);
    assert_int_equal(store_guards(store, &query, &arena, &guards, &err), STORE_OK);
    assert_int_equal(guards.meters[0].at_once, 1);
    assert_int_equal(guards.meters[0].per_hour, 4);
    assert_int_equal(guards.meters[0].breaker.open_for_ms, 60000);
    assert_int_equal(guards.rollout.state, ROLLOUT_NONE);
    f->time.now += GRACE_MS;
    must_go(store, claim_one(store), STATE_HEALED); // what it held under version 2 is given back
    assert_int_equal(store_guards(store, &query, &arena, &guards, &err), STORE_OK);
    assert_int_equal(guards.meters[0].at_once, 0);
    store_close(store);
    store_close(open_or_fail(f->path, &f->time.clock)); // and it is done once
}

static void test_store__damaged_log_is_refused_but_can_be_looked_at(void **state)
{
    static const char *const damage[] = {"DELETE FROM record WHERE position = 2",
                                         "UPDATE head SET size = 2",
                                         "UPDATE head SET root = zeroblob(32)",
                                         "UPDATE head SET peaks = x'00'",
                                         "UPDATE record SET text = text || ' ' WHERE position = 2",
                                         "DELETE FROM head"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        struct store *store = open_or_fail(f->path, &f->time.clock);
        for (int j = 0; j < 3; j++)
            assert_int_equal(store_record(store, STR("k"), STR("{}"), &f->err), STORE_OK);
        store_close(store);
        sql(f, damage[i]);
        must_fail(f, "S0003");
        test_folder_remove(f->folder);
        assert_int_equal(mkdir(f->folder, 0700), 0);
    }
    struct store *store = open_or_fail(f->path, &f->time.clock);
    assert_int_equal(store_record(store, STR("k"), STR("{}"), &f->err), STORE_OK);
    store_close(store);
    sql(f, "UPDATE record SET text = '{}'");
    must_fail(f, "S0003");
    struct store_leaf *leaves;
    size_t count;
    store = store_open_to_look(f->path, &f->time.clock, &f->err);
    assert_non_null(store);
    assert_int_equal(store_leaves(store, 0, 0, 5, &f->arena, &leaves, &count, &f->err), STORE_OK);
    assert_int_equal(count, 1);
    assert_int_equal(store_record(store, STR("k"), STR("{}"), &f->err), STORE_ERROR);
    assert_string_equal(f->err.code, "S0003");
    store_close(store);
}

static void open_unwritable(struct fixture *f, int out)
{
    struct error err = {0};
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        _exit(1);
    if (!store_open(f->path, &f->time.clock, &err) && err.code && strcmp(err.code, "S0004") == 0 &&
        write(out, "x", 1) == 1)
        _exit(0);
}

static void test_store__folder_that_cannot_be_written(void **state)
{
    struct fixture *f = *state;
    chmod(f->folder, 0555);
    assert_int_equal(in_child(f, open_unwritable, 2), 1);
}

/* Writes until the disk is full, makes room, goes on; tells one byte for each thing that held. */
static void fill_disk(struct fixture *f, int out)
{
    struct rlimit limit = {512 * 1024, RLIM_INFINITY};
    char body[4096];
    struct error err = {0};
    signal(SIGXFSZ, SIG_IGN);
    struct store *store = open_or_fail(f->path, &f->time.clock);
    accept_one(store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(store);
    must_go(store, claim, STATE_READING);
    struct store_transition t = move_to(store, claim, STATE_INTENT);
    setrlimit(RLIMIT_FSIZE, &limit);
    memset(body, 'a', sizeof body);
    memcpy(body, "{\"a\":\"", 6);
    memcpy(body + sizeof body - 2, "\"}", 2);
    enum store_result result;
    int64_t told = log_size(store);
    while ((result = store_record(store, STR("k"), (struct str){body, sizeof body}, &err)) ==
           STORE_OK)
        told++;
    bool failed = result == STORE_ERROR && strcmp(err.code, "S0004") == 0;
    failed = failed && go(store, &t) == STORE_ERROR && !store_owns(store, claim.id, claim.epoch);
    if (!failed || write(out, "1", 1) != 1)
        _exit(1);
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    struct store_checkpoint checkpoint;
    if (go(store, &t) != STORE_OK || store_flush(store, &err) != STORE_OK ||
        store_checkpoint(store, &checkpoint, &err) != STORE_OK || checkpoint.size != told + 1 ||
        write(out, "2", 1) != 1)
        _exit(1);
    _exit(0); // no close: as if killed
}

static void test_store__full_disk_loses_nothing_and_is_left_behind(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(in_child(f, fill_disk, 3), 2);
    struct store *store = open_or_fail(f->path, &f->time.clock);
    assert_int_equal(get(store, 1, &f->arena).state, STATE_INTENT);
    store_close(store);
}

/* An unawaited write that a full disk swallowed is reported once, by the next flush or claim: who
 * goes on claiming would else do the same work again and again. */
static void lose_unawaited(struct fixture *f, int out)
{
    struct error err = {0};
    struct store *store = open_or_fail(f->path, &f->time.clock);
    accept_one(store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(store);
    must_go(store, claim, STATE_READING);
    struct store_transition t = move_to(store, claim, STATE_DECIDING);
    struct rlimit limit = {1, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    enum store_result queued = store_advance(store, &t, false, &err);
    if (queued != STORE_OK || store_flush(store, &err) != STORE_ERROR || write(out, "1", 1) != 1)
        _exit(1);
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    t.version++;
    if (store_flush(store, &err) != STORE_OK || go(store, &t) != STORE_CONFLICT ||
        write(out, "2", 1) != 1)
        _exit(1);
    limit.rlim_cur = 1;
    setrlimit(RLIMIT_FSIZE, &limit);
    f->time.now += LEASE_MS + 1;
    claim_one(store); // whoever commits it meets the disk; then the row can be had again
    size_t count = 0;
    int64_t next;
    enum store_result got = STORE_OK;
    err = (struct error){0};
    for (int i = 0; i < 10000 && got == STORE_OK && count == 0; i++, usleep(1000))
        got = store_claim(store, 1, LEASE_MS, GRACE_MS, &claim, &count, &next, &err);
    if (got != STORE_ERROR || strcmp(err.code, "S0004") != 0)
        _exit(1);
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    if (store_claim(store, 1, LEASE_MS, GRACE_MS, &claim, &count, &next, &err) != STORE_OK ||
        count != 1 || write(out, "3", 1) != 1)
        _exit(1);
    _exit(0);
}

static void test_store__swallowed_write_is_reported(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(in_child(f, lose_unawaited, 3), 3);
}

static void test_store__all_is_there_after_closing(void **state)
{
    struct fixture *f = *state;
    struct store *store = open_or_fail(f->path, &f->time.clock);
    accept_one(store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(store);
    struct store_transition t = move_to(store, claim, STATE_READING);
    assert_int_equal(store_advance(store, &t, false, &f->err), STORE_OK);
    store_close(store);
    store = open_or_fail(f->path, &f->time.clock);
    assert_int_equal(get(store, 1, &f->arena).state, STATE_READING);
    assert_int_equal(log_size(store), 2);
    assert_int_equal(claim_one(store).epoch, claim.epoch + 1);
    store_close(store);
    store_close(NULL);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(test_store__what_was_told_survives_a_kill),
        EACH(test_store__grace_after_the_owner_died),
        EACH(test_store__lease_that_ended_before_death_counts_from_its_end),
        EACH(test_store__grace_of_nothing_is_nothing),
        EACH(test_store__killed_under_load_everything_adds_up),
        EACH(test_store__one_process_owns_the_file),
        EACH(test_store__how_long_the_log_was_outlives_the_owner),
        EACH(test_store__nobody_else_reads_the_file),
        EACH(test_store__missing_folder_and_foreign_files),
        EACH(test_store__newer_schema_is_left_alone),
        EACH(test_store__older_schema_is_brought_here),
        EACH(test_store__damaged_log_is_refused_but_can_be_looked_at),
        EACH(test_store__folder_that_cannot_be_written),
        EACH(test_store__full_disk_loses_nothing_and_is_left_behind),
        EACH(test_store__swallowed_write_is_reported),
        EACH(test_store__all_is_there_after_closing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
