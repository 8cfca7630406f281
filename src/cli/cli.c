// SPDX-License-Identifier: Apache-2.0
/* What commands share: where state, models and policies are, and how errors are shown. See cli.h.
 */
#include "cli/cli.h"

#include "value/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int cli_fail(const struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct buf out = {.arena = &arena};
    if (err->code && err->code[0] == 'C' && err->line) // of an expression
        cel_error_print(&out, err);
    else
        error_print(&out, err);
    struct str text = buf_str(&out);
    if (text.ptr)
        fprintf(stderr, "%.*s", STR_FMT(text));
    else // no memory to make it readable with
        fprintf(stderr, "error[%s]: %s\n", err->code ? err->code : "?", err->message);
    return CLI_FAILED;
}

int cli_fail_list(const struct error_list *errors)
{
    for (size_t i = 0; i < errors->count && i < ERROR_LIST_MAX; i++)
        cli_fail(errors->items[i]);
    fprintf(stderr, "%zu error%s\n", errors->count, errors->count == 1 ? "" : "s");
    return CLI_FAILED;
}

int cli_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("rectify: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n  `rectify help` lists the commands\n", stderr);
    va_end(args);
    return CLI_USAGE;
}

/* A file that is always there and tells where to look: RECTIFY_STOP is set. */
#define STOP_BY_ENVIRONMENT "/proc/self/environ"

static bool make_folder(const char *path, struct error *err)
{
    char partial[4096];
    snprintf(partial, sizeof partial, "%s", path);
    for (char *p = partial + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(partial, 0700) != 0 && errno != EEXIST)
            break;
        *p = '/';
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        error_set(err, "L0001", "cannot make the state folder %s: %s", path, strerror(errno));
        return error_hint(err, "--state DIR or RECTIFY_STATE name another one");
    }
    return true;
}

bool cli_state_path(const struct cli_options *options, char *ret, size_t size)
{
    const char *env = getenv("RECTIFY_STATE"), *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int len;
    if (options->state)
        len = snprintf(ret, size, "%s", options->state);
    else if (env && env[0])
        len = snprintf(ret, size, "%s", env);
    else if (xdg && xdg[0] == '/')
        len = snprintf(ret, size, "%s/rectify", xdg);
    else if (home && home[0] == '/')
        len = snprintf(ret, size, "%s/.local/state/rectify", home);
    else
        len = snprintf(ret, size, "/var/lib/rectify");
    return len >= 0 && (size_t)len < size;
}

bool cli_state_dir(const struct cli_options *options, char *ret, size_t size, struct error *err)
{
    if (!cli_state_path(options, ret, size))
        return error_set(err, "L0001", "the state folder's path is too long");
    return make_folder(ret, err);
}

const char *cli_store_said(const struct cli_options *options)
{
    const char *env = getenv("RECTIFY_STORE");
    return options->store ? options->store : env && env[0] ? env : NULL;
}

struct store *cli_open_store(const struct cli_options *options, struct error *err)
{
    char dir[3900], path[4096];
    if (cli_store_said(options))
        return store_open(cli_store_said(options), clock_system(), err);
    if (!cli_state_dir(options, dir, sizeof dir, err))
        return NULL;
    snprintf(path, sizeof path, "%s/rectify.db", dir);
    return store_open(path, clock_system(), err);
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

struct aws_models *cli_open_models(const struct cli_options *options, struct error *err)
{
    char self[3000], path[4096];
    const char *env = getenv("RECTIFY_MODELS");
    if (options->models || (env && env[0]))
        return aws_models_open(options->models ? options->models : env, err);
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = '\0';
    static const char *const places[] = {"models", "../models", "../share/rectify/models"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%s/%s", self, places[i]);
        if (is_folder(path))
            return aws_models_open(path, err);
    }
    error_set(err, "L0002", "the AWS service models are not beside the program (%s/models)", self);
    error_hint(err, "--models DIR or RECTIFY_MODELS name the folder; ./dev build makes it");
    return NULL;
}

struct policy_set *cli_load_policies(const struct cli_options *options, struct aws_models *models)
{
    struct arena arena ARENA_AUTO = {0};
    struct error_list errors = {.arena = &arena};
    const char *env = getenv("RECTIFY_POLICIES");
    struct policy_options load = {options->policies ? options->policies : env, options->config,
                                  models};
    if (!load.dir) {
        cli_usage("--policies DIR is missing");
        return NULL;
    }
    struct policy_set *set = policy_set_load(&load, &errors);
    if (!set)
        cli_fail_list(&errors);
    return set;
}

const char *cli_kill_switch(const struct cli_options *options, const struct policy_set *policies,
                            char *buf, size_t size)
{
    char dir[3900];
    struct str configured = policies ? policy_set_kill_switch(policies) : (struct str){0};
    const char *stop = getenv("RECTIFY_STOP");
    if (stop && stop[0])
        snprintf(buf, size, "%s", STOP_BY_ENVIRONMENT);
    else if (options->kill_switch)
        snprintf(buf, size, "%s", options->kill_switch);
    else if (configured.len)
        snprintf(buf, size, "%.*s", STR_FMT(configured));
    else if (cli_state_path(options, dir, sizeof dir))
        snprintf(buf, size, "%s/STOP", dir);
    else
        snprintf(buf, size, "/nonexistent/STOP"); // cannot be read: nothing is called
    return buf;
}

struct str cli_session(char ret[CLI_SESSION_SIZE])
{
    char host[256] = "";
    size_t len = (size_t)snprintf(ret, CLI_SESSION_SIZE, "rectify");
    if (gethostname(host, sizeof host - 1) == 0 && host[0])
        len = (size_t)snprintf(ret, CLI_SESSION_SIZE, "rectify-%.50s", host);
    for (size_t i = 0; i < len; i++) {
        char c = ret[i], lower = (char)(c | 0x20);
        bool fits = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '.';
        ret[i] = fits ? c : '-';
    }
    return (struct str){ret, len};
}

bool cli_id(const struct cli_options *options, int64_t *ret)
{
    return options->arg_count > 0 && remediation_id_parse(str_from(options->args[0]), ret);
}

static bool output_lost; // there was no memory for some of it

void cli_print(struct buf *text)
{
    struct str s = buf_str(text);
    output_lost = output_lost || !s.ptr;
    if (s.len)
        fwrite(s.ptr, 1, s.len, stdout);
}

int cli_end(int code)
{
    struct error err;
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    if (written && !output_lost)
        return code;
    error_set(&err, "L0023", "%s",
              written ? "out of memory for the output" : "the output cannot be written in full");
    cli_fail(&err);
    return code == CLI_OK || code == CLI_WAITING ? CLI_FAILED : code;
}

void cli_print_json(struct arena *arena, struct value v)
{
    struct buf out = {.arena = arena};
    json_write(&out, v, JSON_PRETTY);
    buf_add_byte(&out, '\n');
    cli_print(&out);
}
