// SPDX-License-Identifier: Apache-2.0
/* What PostgreSQL's errors mean for a person: one table from SQLSTATE to our code and what to do.
 * The server's own words come along, but never the address, as a password may stand in it. */
#include "store/postgres_internal.h"

#include <stdio.h>

struct meaning {
    const char *state; // whole, or its class of two characters; the first that fits counts
    const char *code;
    const char *what; // "%s", the label, stands before it
    const char *hint;
};

#define SERVER_BACK "nothing is called meanwhile; rectify goes on by itself once it is back"

static const struct meaning meanings[] = {
    {"28", "S0002", "refuses the login",
     "check user and password (~/.pgpass, PGPASSWORD) and the server's pg_hba.conf"},
    {"3D000", "S0002", "does not exist", "createdb -E UTF8 makes it"},
    {"42501", "S0002", "does not let this user do what rectify needs",
     "as the schema's owner: SELECT rectify.grant_worker('USER'); the owner opens the store first"},
    {"42P07", "S0002", "has a schema `rectify` that is another program's", "use another database"},
    {"42723", "S0002", "has a schema `rectify` that is another program's", "use another database"},
    {"3F000", "S0003", "has lost a part of rectify's schema", "restore a backup"},
    {"42P01", "S0003", "has lost a part of rectify's schema", "restore a backup"},
    {"42883", "S0003", "has lost a part of rectify's schema", "restore a backup"},
    {"XX001", "S0003", "is damaged", "stop, keep a copy of the cluster, and restore a backup"},
    {"XX002", "S0003", "has a damaged index", "stop, and REINDEX SCHEMA rectify"},
    {"53300", "S0007", "has no connection left",
     "raise max_connections: each rectify process takes up to 12"},
    {"53", "S0004", "is out of disk or memory; nothing was changed",
     "make room; rectify goes on by itself"},
    {"58", "S0004", "cannot read or write its files; nothing was changed",
     "look into the server's log; rectify goes on by itself"},
    {"25006", "S0004", "cannot be written: it is a standby, or read-only",
     "name the primary, or several hosts and target_session_attrs=read-write"},
    {"57014", "S0007", "took too long; nothing was changed", "is it overloaded? " SERVER_BACK},
    {"55P03", "S0007", "had the row locked for too long; nothing was changed",
     "SELECT * FROM pg_stat_activity shows who holds it"},
    {"25P03", "S0007", "ended a transaction that stood still", SERVER_BACK},
    {"40", "S0007", "could not bring transactions into an order; nothing was changed", SERVER_BACK},
    {"57", "S0007", "is stopping or starting", SERVER_BACK},
    {"08", "S0007", "cannot be reached", SERVER_BACK},
    {"", "S0007", "cannot be reached", SERVER_BACK}, // the library found out by itself
};

static const struct meaning *meaning_of(const char *state)
{
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        const char *wanted = meanings[i].state;
        if (strncmp(state, wanted, strlen(wanted)) == 0 && (*wanted || !*state))
            return &meanings[i];
    }
    return NULL;
}

/* The library's own refusals have no state, only words. */
static const struct meaning no_tls = {
    "", "S0002", "does not prove by TLS who it is",
    "sslrootcert=FILE names the authority; sslmode=... in the address asks for less"};

static const struct meaning *meaning_of_words(const char *said)
{
    if (strstr(said, "SSL") || strstr(said, "certificate"))
        return &no_tls;
    if (strstr(said, "session is read-only") || strstr(said, "in hot standby mode"))
        return meaning_of("25006");
    return meaning_of("");
}

/* The first line, without the severity and state that a verbose message begins with. */
static struct str first_line(const char *said)
{
    struct str line = str_from(said ? said : "");
    char state[6];
    postgres_state_of(said, state);
    size_t at = *state ? str_find(line, str_from(state)) : SIZE_MAX;
    if (at != SIZE_MAX)
        line = str_sub(line, at + strlen(state) + 1, SIZE_MAX);
    line = str_trim(str_cut(&line, '\n'));
    return str_sub(line, 0, str_utf8_prefix(line));
}

bool postgres_error(const struct postgres_store *store, const char *state, const char *said,
                    struct error *err)
{
    const struct meaning *meaning = *state ? meaning_of(state) : meaning_of_words(said);
    struct str line = first_line(said);
    if (!meaning)
        return error_set(err, "S0006", "%s refused a statement: %.*s (%s)", store->label,
                         STR_FMT(line), state);
    error_set(err, meaning->code, "%s %s: %.*s%s%s%s", store->label, meaning->what, STR_FMT(line),
              *state ? " (" : "", state, *state ? ")" : "");
    return error_hint(err, "%s", meaning->hint);
}

bool postgres_is_retryable(const char *state)
{
    return strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0;
}

/* Five digits and capitals, at least one a digit (which a severity has not). */
static bool is_state(const char *s)
{
    bool digit = false;
    for (int i = 0; i < 5; i++) {
        digit = digit || (s[i] >= '0' && s[i] <= '9');
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'A' && s[i] <= 'Z')))
            return false;
    }
    return digit && s[5] == ':';
}

/* "...FATAL:  28P01: password authentication failed..." in whatever language "FATAL" is. */
void postgres_state_of(const char *said, char ret[6])
{
    ret[0] = '\0';
    for (const char *at = said ? strchr(said, ':') : NULL; at; at = strchr(at + 1, ':')) {
        const char *word = at + 1 + strspn(at + 1, " ");
        if (word > at + 1 && is_state(word)) {
            snprintf(ret, 6, "%s", word);
            return;
        }
    }
}
