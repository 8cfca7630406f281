// SPDX-License-Identifier: Apache-2.0
/* See backend.h. */
#include "backend.h"

#include "../cmocka_all.h"

#include <glob.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
#define READY_ATTEMPTS 600

static struct {
    char bin[300], folder[200], port[16];
    pid_t server, owner;
} cluster;

bool backend_is_postgres(void)
{
    const char *backend = getenv("RECTIFY_TEST_BACKEND");
    return backend && strcmp(backend, "postgres") == 0;
}

/* ---- the cluster ---- */

static void choose_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        address.sin_port = htons(5432);
    close(fd);
    snprintf(cluster.port, sizeof cluster.port, "%u", ntohs(address.sin_port));
}

static bool find_bin(void)
{
    glob_t found = {0};
    const char *said = getenv("RECTIFY_POSTGRES_BIN");
    if (said)
        snprintf(cluster.bin, sizeof cluster.bin, "%s", said);
    else if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) == 0 && found.gl_pathc)
        snprintf(cluster.bin, sizeof cluster.bin, "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    return cluster.bin[0];
}

/* A program of PostgreSQL's, as somebody who is not root; what it says goes to the log. */
static pid_t start(char *argv[])
{
    char program[400], log[300];
    snprintf(program, sizeof program, "%s/%s", cluster.bin, argv[0]);
    snprintf(log, sizeof log, "%s/log", cluster.folder);
    fflush(NULL);
    pid_t pid = fork();
    if (pid)
        return pid;
    if (!freopen(log, "a", stdout) || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
        _exit(1);
    if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        _exit(1);
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    unsetenv("LD_PRELOAD");
    argv[0] = program; // they look for each other beside it
    execv(program, argv);
    _exit(127);
}

static bool run(char *argv[])
{
    int status = -1;
    pid_t pid = start(argv);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static PGconn *connect_as(const char *user)
{
    return PQconnectdb(backend_url(user));
}

void backend_start_server(void)
{
    char data[300];
    snprintf(data, sizeof data, "%s/data", cluster.folder);
    char *argv[] = {"postgres",
                    "-D",
                    data,
                    "-k",
                    cluster.folder,
                    "-c",
                    "listen_addresses=127.0.0.1",
                    "-p",
                    cluster.port,
                    "-c",
                    "fsync=off",
                    "-c",
                    "full_page_writes=off",
                    "-c",
                    "shared_buffers=32MB",
                    "-c",
                    "max_connections=60",
                    "-c",
                    "max_wal_size=256MB",
                    NULL};
    cluster.server = start(argv);
    for (int i = 0; i < READY_ATTEMPTS; i++) {
        PGconn *conn = connect_as("");
        bool ready = PQstatus(conn) == CONNECTION_OK;
        PQfinish(conn);
        if (ready)
            return;
        usleep(20000);
    }
    fail_msg("PostgreSQL does not start: see %s/log", cluster.folder);
}

static void stop(int how)
{
    if (cluster.server > 0) {
        kill(cluster.server, how);
        waitpid(cluster.server, NULL, 0);
    }
    cluster.server = 0;
}

void backend_stop_server(void)
{
    stop(SIGQUIT);
}

static void finish(void)
{
    char command[300];
    if (getpid() != cluster.owner) // a child of a test
        return;
    stop(SIGINT);
    snprintf(command, sizeof command, "rm -rf '%s'", cluster.folder);
    if (system(command) != 0) // NOLINT
        fprintf(stderr, "%s stays behind\n", cluster.folder);
}

int backend_prepare(void)
{
    char data[300];
    if (!backend_is_postgres())
        return 0;
    if (!find_bin()) {
        printf("PostgreSQL's server is not installed (Debian: postgresql-15)\n");
        return 77;
    }
    const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(cluster.folder, sizeof cluster.folder, "%s/rectify-pg-XXXXXX", root);
    if (!mkdtemp(cluster.folder))
        return 1;
    choose_port();
    cluster.owner = getpid();
    atexit(finish);
    if (geteuid() == 0 && chown(cluster.folder, NOBODY, NOBODY) != 0)
        return 1;
    snprintf(data, sizeof data, "%s/data", cluster.folder);
    char *argv[] = {"initdb", "-D",        data, "-U",   "rectify",    "-A",
                    "trust",  "--no-sync", "-E", "UTF8", "--locale=C", NULL};
    if (!run(argv)) {
        fprintf(stderr, "initdb failed: see %s/log\n", cluster.folder);
        cluster.owner = 0; // the folder stays
        return 1;
    }
    backend_start_server();
    return 0;
}

/* ---- databases and statements ---- */

const char *backend_url(const char *user)
{
    static _Thread_local char urls[4][400]; // a few at a time
    static _Thread_local unsigned next;
    char *url = urls[next++ % 4];
    char host[300];
    size_t at = 0;
    for (const char *p = cluster.folder; *p; p++)
        at += (size_t)snprintf(host + at, sizeof host - at, *p == '/' ? "%%2F" : "%c", *p);
    snprintf(url, 400, "postgres://%s@/postgres?host=%s&port=%s", user[0] ? user : "rectify", host,
             cluster.port);
    return url;
}

const char *backend_port(void)
{
    return cluster.port;
}

static PGresult *ask(PGconn *conn, const char *text)
{
    PGresult *result = PQexec(conn, text);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail_msg("%s: %s", text, PQerrorMessage(conn));
    return result;
}

void backend_sql(const char *text)
{
    PGconn *conn = connect_as("");
    PQclear(ask(conn, "SET search_path = rectify; SET client_min_messages = error"));
    PQclear(ask(conn, text));
    PQfinish(conn);
}

int64_t backend_number(const char *text)
{
    PGconn *conn = connect_as("");
    PQclear(ask(conn, "SET search_path = rectify"));
    PGresult *result = ask(conn, text);
    assert_int_equal(PQntuples(result), 1);
    int64_t number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    PQfinish(conn);
    return number;
}

bool backend_sql_as(const char *user, const char *text)
{
    PGconn *conn = connect_as(user);
    PQclear(ask(conn, "SET search_path = rectify"));
    PGresult *result = PQexec(conn, text);
    ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    PQfinish(conn);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

static PGconn *held[100];
static int held_count;

int backend_hold_connections(void)
{
    while (held_count < 100 && PQstatus(held[held_count] = connect_as("")) == CONNECTION_OK)
        held_count++;
    PQfinish(held[held_count]);
    return held_count;
}

void backend_release_connections(void)
{
    while (held_count)
        PQfinish(held[--held_count]);
}

const char *backend_fresh(const char *otherwise)
{
    if (!backend_is_postgres())
        return otherwise;
    PGconn *conn = connect_as("");
    PQclear(ask(conn, "SET client_min_messages = error"));
    PQclear(ask(conn, "DROP SCHEMA IF EXISTS rectify CASCADE"));
    PQfinish(conn);
    return backend_url("");
}

void backend_use_own_clock(void)
{
    if (backend_is_postgres())
        backend_sql("CREATE OR REPLACE FUNCTION clock_ms(host_ms bigint) RETURNS bigint "
                    "LANGUAGE sql VOLATILE AS 'SELECT host_ms'");
}
