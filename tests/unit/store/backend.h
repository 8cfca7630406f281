// SPDX-License-Identifier: Apache-2.0
/* Which backend a test of the store runs against: SQLite, or with RECTIFY_TEST_BACKEND=postgres a
 * PostgreSQL cluster of its own, made in a temporary folder by an unprivileged user, on a Unix
 * socket, ended with the test. One cluster a program, one empty database a test. */
#ifndef RECTIFY_TESTS_STORE_BACKEND_H
#define RECTIFY_TESTS_STORE_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

bool backend_is_postgres(void);
/* 0, or the exit status of a program that cannot run here, having said why. */
int backend_prepare(void);
/* Where store_open() finds an empty store: `otherwise` for SQLite. */
const char *backend_fresh(const char *otherwise);
/* After the store was opened: its time is the clock's that it was given. */
void backend_use_own_clock(void);

/* PostgreSQL only. */
const char *backend_url(const char *user); // user "" = the superuser
const char *backend_port(void);            // on 127.0.0.1, without TLS
void backend_sql(const char *text);
int64_t backend_number(const char *text);
bool backend_sql_as(const char *user, const char *text); // false: refused
int backend_hold_connections(void);                      // all that the server still has; how many
void backend_release_connections(void);
void backend_stop_server(void); // at once, as in a crash
void backend_start_server(void);

#endif
