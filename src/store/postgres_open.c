// SPDX-License-Identifier: Apache-2.0
/* Opening: the address, the schema, the checks of the log's head. And closing.
 *
 * An address that says nothing about TLS and names a server on another machine means
 * sslmode=verify-full: libpq's own default would speak to anybody, in the clear if asked to. */
#include "store/postgres_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "postgres_notes.inc"
#include "postgres_outbox.inc"
#include "postgres_permits.inc"
#include "postgres_tasks.inc"
#include "postgres_turns.inc"
#include "postgres_votes.inc"
#include "postgres_schema.inc" // postgres_schema: the text of postgres_schema.sql
#include "tree/tree.h"

#define TAIL_CHECKED 1024u // leaves re-hashed into the smallest peak at open, at most

/* The planner never guesses wrongly about tables that were empty a minute ago: every statement has
 * its index. A transaction that stands still gives its locks up before others lose patience. */
#define OPTIONS                                                                                    \
    "-c search_path=rectify,pg_temp -c default_transaction_isolation=read\\ committed "            \
    "-c statement_timeout=30000 -c lock_timeout=10000 "                                            \
    "-c idle_in_transaction_session_timeout=5000 -c enable_seqscan=off -c "                        \
    "plan_cache_mode=force_generic_plan -c jit=off "                                               \
    "-c client_min_messages=error"
#define OPTIONS_TO_LOOK " -c default_transaction_read_only=on"
/* Two that open a new database at once: the second waits, and finds it made. */
static const char create_begin[] =
    "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('rectify schema', 0)); "
    "DO $$ BEGIN IF to_regnamespace('rectify') IS NULL THEN CREATE SCHEMA rectify; END IF; END $$";

/* ---- the address ---- */

struct address {
    const char *host, *dbname, *options;
    bool tls_said;
};

static bool is_local(struct str hosts)
{
    do {
        struct str host = str_cut(&hosts, ',');
        if (host.len && host.ptr[0] != '/' && host.ptr[0] != '@' && !str_is(host, "localhost") &&
            !str_is(host, "::1") && !str_starts(host, STR("127.")))
            return false;
    } while (hosts.len);
    return true;
}

static void read_address(const PQconninfoOption *all, struct address *ret)
{
    *ret = (struct address){.host = getenv("PGHOST"),
                            .dbname = getenv("PGDATABASE"),
                            .options = getenv("PGOPTIONS"),
                            .tls_said = getenv("PGSSLMODE")};
    for (const PQconninfoOption *o = all; o->keyword; o++) {
        struct str keyword = str_from(o->keyword);
        if (!o->val || !o->val[0])
            continue;
        if (str_is(keyword, "host") || str_is(keyword, "hostaddr"))
            ret->host = o->val;
        else if (str_is(keyword, "dbname"))
            ret->dbname = o->val;
        else if (str_is(keyword, "options"))
            ret->options = o->val;
        else if (str_is(keyword, "sslmode"))
            ret->tls_said = true;
    }
}

static bool take_address(struct postgres_store *store, const char *url, struct error *err)
{
    struct address address;
    char *why = NULL; // may hold the whole address: not shown
    PQconninfoOption *all = store->pq->conninfoParse(url, &why);
    free(why);
    if (!all) {
        error_set(err, "S0002", "the store's address is not one that PostgreSQL understands");
        return error_hint(err, "postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full; special "
                               "characters in it are written %%XX");
    }
    read_address(all, &address);
    const char *user = address.options ? address.options : "";
    const char *look = store->to_look ? OPTIONS_TO_LOOK : "";
    size_t size = strlen(user) + strlen(look) + sizeof OPTIONS + 2;
    store->options = malloc(size);
    if (store->options)
        snprintf(store->options, size, "%s %s%s", user, OPTIONS, look);
    const char *host = address.host && address.host[0] ? address.host : "the local socket";
    snprintf(store->label, sizeof store->label, "database %s at %s",
             address.dbname ? address.dbname : "(the user's)", host);
    store->verify_tls = !address.tls_said && address.host && !is_local(str_from(address.host));
    store->pq->conninfoFree(all);
    return store->options || error_set(err, "S0006", "out of memory opening the store");
}

/* ---- the schema ---- */

static bool is_missing(const struct error *err)
{
    return strcmp(err->code, "S0003") == 0; // no such schema or table
}

/* What leads from each version to the next; 0 is nothing at all. */
static const char *const steps[POSTGRES_SCHEMA_VERSION] = {
    postgres_schema, postgres_outbox, postgres_tasks, postgres_permits,
    postgres_votes,  postgres_notes,  postgres_turns};

/* Makes the tables, or brings those of an older version here, in one transaction. */
static bool make_schema(struct postgres_store *store, struct postgres_link *link, struct error *err)
{
    POSTGRES_ROWS_AUTO struct postgres_rows made = {0}, version = {0};
    if (!postgres_script(store, link, create_begin, err) ||
        !postgres_run(store, link, POSTGRES_IS_MADE, NULL, &made, err))
        return false;
    bool there = postgres_int(&made, 0, 0);
    if (there && !postgres_run(store, link, POSTGRES_VERSION, NULL, &version, err))
        return false;
    for (int64_t v = there ? postgres_int(&version, 0, 0) : 0; v < POSTGRES_SCHEMA_VERSION; v++)
        if (!postgres_script(store, link, steps[v], err))
            return false;
    return postgres_script(store, link, "COMMIT", err);
}

static bool damaged(const struct postgres_store *store, const char *what, struct error *err)
{
    error_set(err, "S0003", "%s is damaged: %s", store->label, what);
    return error_hint(err, "`rectify audit verify` on a copy says where; restore a backup");
}

static bool check_version(const struct postgres_store *store, int64_t version, struct error *err)
{
    if (version == POSTGRES_SCHEMA_VERSION)
        return true;
    error_set(err, "S0005",
              "%s was made by %s rectify (its schema is %" PRId64 ", this one knows %d)",
              store->label, version > POSTGRES_SCHEMA_VERSION ? "a newer" : "an older", version,
              POSTGRES_SCHEMA_VERSION);
    return error_hint(err, "use that version, or another database");
}

/* Re-derives the rightmost peak from its leaves, where it is small. */
static bool check_tail(struct postgres_store *store, struct postgres_link *link,
                       const struct tree *tree, struct error *err)
{
    POSTGRES_ARGS_AUTO struct postgres_args args = {0};
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    uint64_t width = tree->size & (0 - tree->size);
    struct tree tail = {0};
    if (tree->size == 0 || width > TAIL_CHECKED)
        return true;
    postgres_add_int(&args, (int64_t)(tree->size - width));
    postgres_add_int(&args, (int64_t)width);
    if (!postgres_run(store, link, POSTGRES_LEAVES, &args, &rows, err))
        return false;
    for (int i = 0; i < rows.count; i++)
        tree_append(&tail, tree_hash_leaf(postgres_str(&rows, i, 1)));
    return (tail.size == width &&
            tree_hash_equal(tail.peaks[0], tree->peaks[tree_peak_count(tree->size) - 1])) ||
           damaged(store, "the last audit records are not those that its head was made of", err);
}

static bool check_head(struct postgres_store *store, struct postgres_link *link,
                       const struct postgres_rows *rows, struct error *err)
{
    struct str root = postgres_str(rows, 0, 2), peaks = postgres_str(rows, 0, 3);
    int64_t size = postgres_int(rows, 0, 1);
    size_t count = size < 0 ? SIZE_MAX : tree_peak_count((uint64_t)size);
    struct tree tree = {.size = (uint64_t)size};
    if (count > TREE_PATH_MAX || peaks.len != count * HASH_SHA256_SIZE)
        return damaged(store, "the log's head has another size than it says", err);
    memcpy(tree.peaks, peaks.ptr, peaks.len);
    struct sha256 own = tree_root(&tree);
    if (!str_eq(root, (struct str){(char *)own.bytes, sizeof own.bytes}))
        return damaged(store, "the log's head does not give its own root", err);
    if (postgres_int(rows, 0, 4) != size)
        return damaged(store, "the audit log is not as long as its head says", err);
    return check_tail(store, link, &tree, err);
}

/* One row, or none when there is no head. A missing or older schema is made first. */
static bool read_state(struct postgres_store *store, struct postgres_link *link,
                       struct postgres_rows *ret, struct error *err)
{
    bool there = postgres_run(store, link, POSTGRES_OPEN, NULL, ret, err);
    if (!there && !is_missing(err))
        return false;
    bool old = there && ret->count && postgres_int(ret, 0, 0) < POSTGRES_SCHEMA_VERSION;
    if (store->to_look || (there && !old))
        return there;
    postgres_rows_finish(ret);
    if (!make_schema(store, link, err))
        return error_context(err, "making rectify's tables");
    return postgres_run(store, link, POSTGRES_OPEN, NULL, ret, err);
}

static bool check(struct postgres_store *store, struct postgres_link *link, struct error *err)
{
    POSTGRES_ROWS_AUTO struct postgres_rows rows = {0};
    if (!read_state(store, link, &rows, err))
        return false;
    if (rows.count == 0)
        return store->to_look || damaged(store, "its log has no head", err);
    if (!check_version(store, postgres_int(&rows, 0, 0), err))
        return false;
    if (!str_is(postgres_str(&rows, 0, 5), "UTF8")) {
        error_set(err, "S0002", "%s is not encoded in UTF8", store->label);
        return error_hint(err, "createdb -E UTF8 -T template0 makes one that is");
    }
    return store->to_look || check_head(store, link, &rows, err);
}

/* ---- open, close ---- */

static void finish(struct postgres_store *store)
{
    postgres_links_finish(store);
    pthread_mutex_destroy(&store->mutex);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->sequencer_mutex);
    pthread_cond_destroy(&store->sequencer_wake);
    free(store->options);
    free(store->url);
    free(store);
}

static void verb_close(struct store *base)
{
    struct postgres_store *store = (struct postgres_store *)base;
    postgres_stop_sequencer(store);
    finish(store);
}

static struct postgres_store *create(const char *url, const struct clock *clock, bool to_look)
{
    struct postgres_store *store = calloc(1, sizeof *store);
    pthread_condattr_t monotonic;
    if (!store || !(store->url = strdup(url))) {
        free(store);
        return NULL;
    }
    store->base.backend = &postgres_backend;
    store->clock = clock;
    store->to_look = to_look;
    store->links_max = POSTGRES_LINKS_MAX;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&store->wake, &monotonic);
    pthread_cond_init(&store->sequencer_wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&store->mutex, NULL);
    pthread_mutex_init(&store->sequencer_mutex, NULL);
    return store;
}

static bool connect_and_check(struct postgres_store *store, struct error *err)
{
    struct postgres_link *link = postgres_borrow(store, err);
    bool ok = link && check(store, link, err);
    if (link)
        postgres_give_back(store, link);
    return ok;
}

struct store *postgres_open(const char *url, const struct clock *clock, bool to_look,
                            struct error *err)
{
    const struct postgres_library *pq = postgres_load(err);
    struct postgres_store *store = pq ? create(url, clock, to_look) : NULL;
    if (!store) {
        if (pq)
            error_set(err, "S0006", "out of memory opening the store");
        return NULL;
    }
    store->pq = pq;
    if (!take_address(store, url, err) || !connect_and_check(store, err)) {
        finish(store);
        return NULL;
    }
    return &store->base;
}

const struct store_backend postgres_backend = {
    .close = verb_close,
    .accept = postgres_verb_accept,
    .create = postgres_verb_create,
    .claim = postgres_verb_claim,
    .end_leases = postgres_verb_end_leases,
    .get = postgres_verb_get,
    .owns = postgres_verb_owns,
    .advance = postgres_verb_advance,
    .flush = postgres_verb_flush,
    .record = postgres_verb_record,
    .vote = postgres_verb_vote,
    .void_approval = postgres_verb_void_approval,
    .see_policies = postgres_verb_see_policies,
    .approval = postgres_verb_approval,
    .guards = postgres_verb_guards,
    .breaker_set = postgres_verb_breaker_set,
    .plan_tasks = postgres_verb_plan_tasks,
    .take_task = postgres_verb_take_task,
    .end_task = postgres_verb_end_task,
    .get_task = postgres_verb_get_task,
    .counted = postgres_verb_counted,
    .rollout_set = postgres_verb_rollout_set,
    .policies = postgres_verb_policies,
    .set_note = postgres_verb_set_note,
    .get_notes = postgres_verb_get_notes,
    .list_notes = postgres_verb_list_notes,
    .list = postgres_verb_list,
    .counts = postgres_verb_counts,
    .leaves = postgres_verb_leaves,
    .checkpoint = postgres_verb_checkpoint,
    .tell = postgres_verb_tell,
    .take_notices = postgres_verb_take_notices,
    .give_notices = postgres_verb_give_notices,
    .notices = postgres_verb_notices,
};
