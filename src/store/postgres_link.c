// SPDX-License-Identifier: Apache-2.0
/* Connections: borrowed by one caller at a time, opened when needed, one attempt at once. A
 * connection that turns out to be dead is replaced before anything is sent; one that dies under a
 * statement fails that statement, as nobody knows whether it was done. While the database cannot be
 * reached, verbs wait a little for it, then fail. Any thread. */
#include "store/postgres_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/authorities.h"

struct statement {
    const char *name, *sql;
    bool reads;
};
enum { WRITE, READ };
static const struct statement statements[] = {
#define STATEMENT(name, kind, sql) [POSTGRES_##name] = {#name, sql, kind},
    POSTGRES_STATEMENTS(STATEMENT)
#undef STATEMENT
};
_Static_assert(POSTGRES_STATEMENT_COUNT <= 64, "a bit for each statement");

/* Durations of our own, not of the clock that tests move. */
static int64_t steady_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* False when the time is over. */
static bool wait_socket(int fd, short events, int64_t until)
{
    struct pollfd one = {fd, events, 0};
    for (;;) {
        int64_t left = until - steady_ms();
        int got = left > 0 ? poll(&one, 1, (int)left) : 0;
        if (got != -1 || errno != EINTR)
            return got > 0;
    }
}

/* ---- connecting ---- */

static void say_nothing(void *ctx, const char *message)
{
    (void)ctx;
    (void)message;
}

static PGconn *start(const struct postgres_store *store)
{
    bool choose = !store->to_look && !getenv("PGTARGETSESSIONATTRS");
    bool root = store->verify_tls && !getenv("PGSSLROOTCERT");
    /* What stands before the address is a default, what stands behind it is ours. */
    const char *const keys[] = {"fallback_application_name",
                                "keepalives_idle",
                                "tcp_user_timeout",
                                choose ? "target_session_attrs" : "keepalives",
                                store->verify_tls ? "sslmode" : "keepalives",
                                root ? "sslrootcert" : "keepalives",
                                "dbname",
                                "options",
                                "client_encoding",
                                NULL};
    const char *const values[] = {"rectify",
                                  "30",
                                  "20000",
                                  choose ? "read-write" : "1",
                                  store->verify_tls ? "verify-full" : "1",
                                  root ? authorities_file() : "1",
                                  store->url,
                                  store->options,
                                  "UTF8",
                                  NULL};
    return store->pq->connectStartParams(keys, values, 1);
}

/* Drives an attempt to its end. False: conn has the reason, or the time was over. */
static bool connected(const struct postgres_store *store, PGconn *conn, int64_t until)
{
    const struct postgres_library *pq = store->pq;
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    if (pq->status(conn) == CONNECTION_BAD)
        return false;
    pq->setErrorVerbosity(conn, PQERRORS_VERBOSE); // the only way to the SQLSTATE of a refusal
    pq->setNoticeProcessor(conn, say_nothing, NULL);
    while (next != PGRES_POLLING_OK && next != PGRES_POLLING_FAILED) {
        short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (!wait_socket(pq->socket(conn), events, until))
            return false;
        next = pq->connectPoll(conn);
    }
    pq->setErrorVerbosity(conn, PQERRORS_DEFAULT);
    return next == PGRES_POLLING_OK;
}

static void close_link(const struct postgres_store *store, struct postgres_link *link)
{
    if (link->conn)
        store->pq->finish(link->conn);
    free(link);
}

/* A server told to answer before anything is on disk is told otherwise by this connection. */
static const char durable[] = "SELECT set_config('synchronous_commit', 'on', false) "
                              "WHERE current_setting('synchronous_commit') = 'off'";

/* One attempt. `state` becomes the SQLSTATE of a refusal, or "". */
static struct postgres_link *connect_link(struct postgres_store *store, char state[6],
                                          struct error *err)
{
    struct postgres_link *link = calloc(1, sizeof *link);
    state[0] = '\0';
    if (!link || !(link->conn = start(store))) {
        free(link);
        error_set(err, "S0006", "out of memory connecting to %s", store->label);
        return NULL;
    }
    if (connected(store, link->conn, steady_ms() + POSTGRES_CONNECT_MS)) {
        if (postgres_script(store, link, durable, err))
            return link;
    } else {
        const char *said = store->pq->errorMessage(link->conn);
        postgres_state_of(said, state);
        postgres_error(store, state, *said ? said : "no answer", err);
    }
    close_link(store, link);
    return NULL;
}

/* ---- the pool ---- */

/* The connection may have died while nobody used it: then there is something to read. */
static bool is_alive(const struct postgres_store *store, struct postgres_link *link)
{
    struct pollfd one = {store->pq->socket(link->conn), POLLIN, 0};
    if (poll(&one, 1, 0) == 0)
        return true;
    return store->pq->consumeInput(link->conn) && store->pq->status(link->conn) == CONNECTION_OK;
}

/* Under the mutex, which is let go meanwhile. NULL: try again, or *ret_final. */
static struct postgres_link *try_connect(struct postgres_store *store, bool *ret_final)
{
    struct error err = {0};
    char state[6];
    store->connecting = true;
    store->links++;
    pthread_mutex_unlock(&store->mutex);
    struct postgres_link *link = connect_link(store, state, &err);
    pthread_mutex_lock(&store->mutex);
    store->connecting = false;
    pthread_cond_broadcast(&store->wake);
    if (link) {
        store->backoff_ms = 0;
        store->unreachable = (struct error){0};
        store->links_max = POSTGRES_LINKS_MAX;
        return link;
    }
    store->links--;
    if (strcmp(state, "53300") == 0 && store->links > 0) { // those that we have have to do
        store->links_max = store->links;
        return NULL;
    }
    store->backoff_ms = store->backoff_ms ? store->backoff_ms * 2 : POSTGRES_BACKOFF_MIN_MS;
    if (store->backoff_ms > POSTGRES_BACKOFF_MAX_MS)
        store->backoff_ms = POSTGRES_BACKOFF_MAX_MS;
    store->retry_at_ms = steady_ms() + store->backoff_ms;
    store->unreachable = err;
    *ret_final = !store->opened || strcmp(err.code, "S0007") != 0;
    return NULL;
}

static void wait_until(struct postgres_store *store, int64_t until)
{
    struct timespec at = {until / 1000, until % 1000 * 1000000};
    pthread_cond_timedwait(&store->wake, &store->mutex, &at);
}

/* Under the mutex: an idle one, a new one, or NULL after a wait. */
static struct postgres_link *take(struct postgres_store *store, int64_t give_up, bool *ret_final)
{
    struct postgres_link *link = store->idle;
    int64_t now = steady_ms();
    if (link) {
        store->idle = link->next;
        return link;
    }
    bool room = store->links < store->links_max && !store->connecting;
    if (room && (store->backoff_ms == 0 || now >= store->retry_at_ms))
        return try_connect(store, ret_final);
    wait_until(store, room && store->retry_at_ms < give_up ? store->retry_at_ms : give_up);
    return NULL;
}

struct postgres_link *postgres_borrow(struct postgres_store *store, struct error *err)
{
    int64_t began = steady_ms();
    struct postgres_link *link = NULL;
    bool final = false;
    pthread_mutex_lock(&store->mutex);
    while (!link && !final) {
        bool lost = store->links == 0 && store->backoff_ms > 0;
        int64_t give_up = began + (lost ? POSTGRES_PATIENCE_MS : POSTGRES_ANSWER_MS);
        if (steady_ms() >= give_up)
            break;
        link = take(store, give_up, &final);
        if (link && !is_alive(store, link)) {
            store->links--;
            close_link(store, link);
            link = NULL;
        }
    }
    if (!link && store->unreachable.code)
        *err = store->unreachable;
    else if (!link)
        error_set(err, "S0007", "all %d connections to %s are busy", store->links, store->label);
    pthread_mutex_unlock(&store->mutex);
    return link;
}

static bool in_transaction(const struct postgres_store *store, const struct postgres_link *link)
{
    return store->pq->transactionStatus(link->conn) != PQTRANS_IDLE;
}

static bool is_broken(const struct postgres_store *store, const struct postgres_link *link)
{
    return !link->conn || store->pq->status(link->conn) != CONNECTION_OK;
}

void postgres_give_back(struct postgres_store *store, struct postgres_link *link)
{
    struct error ignored;
    bool good = !is_broken(store, link);
    if (good && in_transaction(store, link))
        good = postgres_script(store, link, "ROLLBACK", &ignored);
    pthread_mutex_lock(&store->mutex);
    if (good) {
        link->next = store->idle;
        store->idle = link;
        store->opened = true;
    } else {
        store->links--;
        close_link(store, link);
    }
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->mutex);
}

void postgres_links_finish(struct postgres_store *store)
{
    while (store->idle) {
        struct postgres_link *link = store->idle;
        store->idle = link->next;
        close_link(store, link);
    }
}

/* ---- statements ---- */

/* The last result of what was sent. NULL: the connection is lost, and closed. */
static PGresult *receive(struct postgres_store *store, struct postgres_link *link)
{
    const struct postgres_library *pq = store->pq;
    int64_t until = steady_ms() + POSTGRES_ANSWER_MS;
    PGresult *last = NULL, *one;
    for (;;) {
        while (pq->isBusy(link->conn)) {
            if (wait_socket(pq->socket(link->conn), POLLIN, until) && pq->consumeInput(link->conn))
                continue;
            if (pq->status(link->conn) == CONNECTION_OK) { // no answer in time
                pq->finish(link->conn);
                link->conn = NULL;
                pq->clear(last);
                return NULL;
            }
            break;
        }
        if (!(one = pq->getResult(link->conn)))
            return last;
        pq->clear(last);
        last = one;
    }
}

/* False with err set, unless the result is a good one. Takes the result. */
static bool judge(struct postgres_store *store, const struct postgres_link *link, PGresult *result,
                  struct postgres_rows *ret, char state[6], struct error *err)
{
    const struct postgres_library *pq = store->pq;
    ExecStatusType status = result ? pq->resultStatus(result) : PGRES_FATAL_ERROR;
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        if (ret)
            *ret = (struct postgres_rows){pq, result, pq->ntuples(result)};
        else
            pq->clear(result);
        return true;
    }
    const char *code = result ? pq->resultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *said = result ? pq->resultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    if (!said)
        said = link->conn ? pq->errorMessage(link->conn) : "no answer in time";
    snprintf(state, 6, "%s", code ? code : "");
    postgres_error(store, state, said, err);
    pq->clear(result);
    return false;
}

/* What became of a statement that failed. */
struct failure {
    char state[6];
    bool unsent;
};

static bool run(struct postgres_store *store, struct postgres_link *link,
                enum postgres_statement which, const struct postgres_args *args,
                struct postgres_rows *ret, struct failure *failure, struct error *err)
{
    static const int formats[POSTGRES_ARGS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                                   1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const struct postgres_library *pq = store->pq;
    const struct statement *statement = &statements[which];
    *failure = (struct failure){.unsent = true};
    if (args && args->failed)
        return error_set(err, "S0006", "out of memory asking %s", store->label);
    if (!(link->prepared >> which & 1)) {
        if (!pq->sendPrepare(link->conn, statement->name, statement->sql, 0, NULL))
            return postgres_error(store, "", pq->errorMessage(link->conn), err);
        if (!judge(store, link, receive(store, link), NULL, failure->state, err))
            return false;
        link->prepared |= UINT64_C(1) << which;
    }
    if (!pq->sendQueryPrepared(link->conn, statement->name, args ? args->count : 0,
                               args ? args->values : NULL, args ? args->lengths : NULL, formats, 1))
        return postgres_error(store, "", pq->errorMessage(link->conn), err);
    failure->unsent = false;
    return judge(store, link, receive(store, link), ret, failure->state, err);
}

bool postgres_run(struct postgres_store *store, struct postgres_link *link,
                  enum postgres_statement which, const struct postgres_args *args,
                  struct postgres_rows *ret, struct error *err)
{
    struct failure failure;
    return run(store, link, which, args, ret, &failure, err);
}

bool postgres_call(struct postgres_store *store, enum postgres_statement which,
                   const struct postgres_args *args, struct postgres_rows *ret, struct error *err)
{
    for (int i = 0;; i++) {
        struct failure failure;
        struct postgres_link *link = postgres_borrow(store, err);
        if (!link)
            return false;
        bool ok = run(store, link, which, args, ret, &failure, err);
        bool lost = is_broken(store, link) && (failure.unsent || statements[which].reads);
        postgres_give_back(store, link);
        if (ok || i == POSTGRES_AGAIN_MAX || !(lost || postgres_is_retryable(failure.state)))
            return ok;
    }
}

bool postgres_script(struct postgres_store *store, struct postgres_link *link, const char *text,
                     struct error *err)
{
    char state[6];
    if (!store->pq->sendQuery(link->conn, text))
        return postgres_error(store, "", store->pq->errorMessage(link->conn), err);
    return judge(store, link, receive(store, link), NULL, state, err);
}
