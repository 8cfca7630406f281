// SPDX-License-Identifier: Apache-2.0
/* match: which events an event pattern matches, like grep; which patterns of a file match; why one
 * pattern does or does not match one event. See match_stream.c for how events go through. */
#include "cli/match_internal.h"

#include "base/limits.h"
#include "detect/detect.h"
#include "value/json.h"
#include "value/json_member.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATTERNS_FILE_MAX ((size_t)1 << 30)

static int fail(const struct error *err)
{
    cli_fail(err);
    return MATCH_ERROR;
}

static bool read_file(const char *path, size_t max, struct arena *arena, struct str *ret,
                      struct error *err)
{
    struct buf out = {.arena = arena};
    char block[65536];
    size_t got;
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    if (!file)
        return error_set(err, "L0013", "cannot read the patterns %s: %s", path, strerror(errno));
    while ((got = fread(block, 1, sizeof block, file)) > 0 && out.len <= max)
        buf_add(&out, block, got);
    bool read = !ferror(file);
    if (file != stdin)
        fclose(file);
    *ret = buf_str(&out);
    if (!read || !ret->ptr || ret->len > max)
        return error_set(err, "L0013", "cannot read the patterns %s: %s", path,
                         ret->len > max ? "the file is too large" : "reading failed");
    return true;
}

/* ---- the patterns ---- */

struct patterns {
    struct arena arena;
    struct str *names; // NULL: a single one
    size_t count, cap;
    struct str text; // the single one's
    struct pattern_builder *builder;
    struct pattern_set *set;
};

static bool add_pattern(struct patterns *p, struct str text, const char *file, struct error *err)
{
    if (pattern_builder_add(p->builder, text, (uint32_t)p->count, err)) {
        p->count++;
        return true;
    }
    snprintf(err->file, sizeof err->file, "%s", file);
    return false;
}

/* --pattern: the pattern itself or a file. */
static bool add_single(struct patterns *p, const char *given, struct error *err)
{
    struct str text = str_trim(str_from(given));
    bool inline_text = text.len && text.ptr[0] == '{';
    if (!inline_text && !read_file(given, LIMIT_EVENT_BYTES, &p->arena, &text, err))
        return false;
    p->text = text;
    return add_pattern(p, text, inline_text ? "--pattern" : given, err);
}

static bool add_name(struct patterns *p, struct str name)
{
    if (p->count == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 64;
        p->names =
            arena_grow(&p->arena, p->names, p->cap * sizeof *p->names, cap * sizeof *p->names);
        p->cap = cap;
    }
    if (p->names)
        p->names[p->count] = name;
    return p->names != NULL && name.ptr != NULL;
}

/* One line of --patterns: {"name": "...", "pattern": {...}} */
static bool add_named(struct patterns *p, struct str line, const char *file, unsigned number,
                      struct error *err)
{
    struct json_members members;
    struct value value;
    struct str name = {0}, text = {0};
    if (!json_parse(&p->arena, line, &value, err)) { // says where it is malformed
        err->line = number;
        snprintf(err->file, sizeof err->file, "%s", file);
        return false;
    }
    if (json_members_begin(&members, line, &p->arena))
        while (json_members_next(&members)) {
            if (str_is(members.name, "name"))
                name = json_members_string(&members);
            else if (str_is(members.name, "pattern"))
                text = members.value;
        }
    if (!name.ptr || !text.ptr)
        return error_set(err, "L0014", "%s:%u: a line is {\"name\": \"...\", \"pattern\": {...}}",
                         file, number);
    if (!add_name(p, name))
        return error_set(err, "L0012", "out of memory");
    if (add_pattern(p, text, file, err))
        return true;
    err->column += (unsigned)(text.ptr - line.ptr); // the pattern begins within the line
    err->line = number;
    return error_context(err, "pattern %.*s", STR_FMT(name));
}

static bool add_file(struct patterns *p, const char *path, struct error *err)
{
    struct str rest;
    if (!read_file(path, PATTERNS_FILE_MAX, &p->arena, &rest, err))
        return false;
    for (unsigned number = 1; rest.ptr; number++) {
        struct str line = str_trim(str_cut(&rest, '\n'));
        if (line.len && !add_named(p, line, path, number, err))
            return false;
    }
    return p->count > 0 || error_set(err, "L0014", "%s: no pattern in it", path);
}

static bool load_patterns(const struct cli_options *options, struct patterns *p, struct error *err)
{
    p->builder = pattern_builder_create();
    if (!p->builder)
        return error_set(err, "L0012", "out of memory");
    if (options->pattern ? !add_single(p, options->pattern, err)
                         : !add_file(p, options->patterns, err))
        return false;
    return pattern_builder_add(p->builder,
                               STR("{\"eventName\":[{\"exists\":true}],"
                                   "\"eventSource\":[{\"exists\":true}]}"),
                               MATCH_RECORD, err) &&
           (p->set = pattern_builder_finish(p->builder, err)) != NULL;
}

static void finish_patterns(struct patterns *p)
{
    pattern_builder_destroy(p->builder);
    pattern_set_destroy(p->set);
    arena_finish(&p->arena);
}

/* ---- events ---- */

static int open_events(const char *path, struct error *err)
{
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        error_set(err, "L0008", "cannot read the events %s: %s", path, strerror(errno));
    return fd;
}

static void print_counts(const struct match_job *job, const struct match_totals *totals)
{
    if (!job->names || job->invert) {
        printf("%llu\n", (unsigned long long)totals->selected);
        return;
    }
    for (size_t i = 0; i < job->name_count; i++)
        printf("%.*s\t%llu\n", STR_FMT(job->names[i]), (unsigned long long)totals->by_name[i]);
}

static unsigned thread_count(const struct cli_options *options)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (options->jobs >= 0)
        return (unsigned)options->jobs;
    return processors > 0 ? (unsigned)processors : 1;
}

static int match_all(const struct cli_options *options, const struct patterns *p)
{
    static const char *const standard[] = {"-"};
    const char *const *files = options->arg_count ? options->args : standard;
    int count = options->arg_count ? options->arg_count : 1, code = 0;
    struct match_totals totals = {.by_name = calloc(p->count, sizeof(uint64_t))};
    struct match_job job = {.set = p->set,
                            .names = p->names,
                            .name_count = p->count,
                            .invert = options->invert,
                            .count = options->count,
                            .threads = thread_count(options),
                            .progress = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO)};
    for (int i = 0; totals.by_name && i < count; i++) {
        struct error err;
        int fd = open_events(files[i], &err);
        job.file = strcmp(files[i], "-") == 0 ? "" : files[i];
        if (fd < 0 || !match_stream(&job, fd, &totals, &err))
            code = fail(&err);
        if (fd >= 0)
            close(fd);
    }
    if (job.count && totals.by_name)
        print_counts(&job, &totals);
    code = !totals.by_name || totals.refused ? MATCH_ERROR : code;
    free(totals.by_name);
    if (fflush(stdout) != 0 || ferror(stdout))
        code = MATCH_ERROR;
    return code ? code : totals.selected ? MATCH_SOME : MATCH_NONE;
}

/* ---- --explain ---- */

static void explain_condition(struct buf *out, const struct pattern_condition *c)
{
    buf_printf(out, "  %s  %.*s %.*s\n", c->holds ? "yes" : "NO ", STR_FMT(c->path),
               STR_FMT(c->wanted));
    if (c->found_count == 0)
        buf_add_cstr(out, "         the event has nothing there\n");
    else
        buf_printf(out, "         the event has %.*s\n", STR_FMT(c->found));
    if (!c->holds)
        buf_printf(out, "         asked for at line %u, column %u of the pattern\n", c->line,
                   c->column);
}

static void explain_branch(struct buf *out, const struct pattern_branch *branch, size_t number,
                           size_t count)
{
    if (count > 1)
        buf_printf(out, "%s %zu of %zu combinations of $or:\n", branch->matches ? "yes" : "NO ",
                   number, count);
    for (size_t i = 0; i < branch->count; i++)
        explain_condition(out, &branch->conditions[i]);
    if (branch->arrays)
        buf_add_cstr(out, "  NO   each condition holds, but no choice of elements of the event's "
                          "arrays satisfies all at once\n");
}

static int explain_event(const struct patterns *p, struct str event, struct arena *arena)
{
    struct pattern_explanation explained;
    struct buf out = {.arena = arena};
    struct error err;
    if (!pattern_explain(arena, p->text, event, &explained, &err))
        return fail(&err);
    buf_add_cstr(&out, explained.matches ? "the pattern matches the event\n"
                                         : "the pattern does not match the event\n");
    for (size_t i = 0; i < explained.count; i++)
        explain_branch(&out, &explained.branches[i], i + 1, explained.count);
    cli_print(&out);
    return explained.matches ? MATCH_SOME : MATCH_NONE;
}

/* The first event, as match_stream() would match it. */
static int explain_first(const struct cli_options *options, const struct patterns *p)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err = {0};
    struct str text;
    const uint32_t *tags;
    size_t count;
    int fd = open_events(options->arg_count ? options->args[0] : "-", &err);
    struct detect_reader *reader = fd < 0 ? NULL : detect_reader_create(fd, &err);
    struct pattern_scratch *scratch = reader ? pattern_scratch_create(p->set) : NULL;
    bool ok = scratch != NULL;
    if (reader && !scratch)
        error_set(&err, "L0012", "out of memory");
    enum detect_read got = ok ? detect_reader_next(reader, &text, &err) : DETECT_READ_BAD;
    if (got == DETECT_READ_END)
        error_set(&err, "L0015", "there is no event to explain");
    ok = got == DETECT_READ_EVENT &&
         match_event(p->set, scratch, text, &arena, &text, &tags, &count, &err);
    int code = ok ? explain_event(p, text, &arena) : fail(&err);
    pattern_scratch_destroy(scratch);
    detect_reader_destroy(reader);
    if (fd >= 0)
        close(fd);
    return code;
}

int cli_match(const struct cli_options *options)
{
    struct patterns patterns = {0};
    struct error err;
    int code;
    if (!options->pattern == !options->patterns)
        return cli_usage("say which events: --pattern FILE|JSON, or --patterns FILE");
    if (options->explain && (!options->pattern || options->count || options->invert))
        return cli_usage("--explain takes one --pattern and nothing else");
    if (!load_patterns(options, &patterns, &err))
        code = fail(&err);
    else if (options->explain)
        code = explain_first(options, &patterns);
    else
        code = match_all(options, &patterns);
    finish_patterns(&patterns);
    return code;
}
