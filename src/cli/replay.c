// SPDX-License-Identifier: Apache-2.0
/* replay: what the policies would have matched in history, and what a change of them would change;
 * a gate for CI. The work is src/replay/'s. */
#include "cli/cli.h"

#include "base/map.h"
#include "replay/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ACTORS_SHOWN 10
#define ACCOUNTS_MAX 64
#define BAR_CELLS 30

/* ---- counts by one column of the rows ---- */

enum column { BY_ACCOUNT, BY_ACTOR, BY_DAY };

struct group { // one policy and one value of the column
    struct str policy, value;
    uint64_t matches, before;
};

static int compare_groups(const void *pa, const void *pb)
{
    const struct group *a = pa, *b = pb;
    int order = str_compare(a->policy, b->policy);
    return order ? order : str_compare(a->value, b->value);
}

/* Most matches first. */
static int compare_sizes(const void *pa, const void *pb)
{
    const struct group *a = pa, *b = pb;
    if (a->matches != b->matches)
        return a->matches > b->matches ? -1 : 1;
    return compare_groups(pa, pb);
}

static struct group *group_rows(const struct replay_result *r, enum column column,
                                struct arena *arena, size_t *ret_count)
{
    struct group *groups = ARENA_ARRAY(arena, struct group, r->row_count + 1);
    struct map seen = {.arena = arena};
    size_t count = 0;
    for (size_t i = 0; groups && i < r->row_count; i++) {
        const struct replay_row *row = &r->rows[i];
        struct str value = column == BY_ACCOUNT ? row->account
                           : column == BY_ACTOR ? row->actor
                                                : row->day;
        struct buf key = {.arena = arena};
        buf_printf(&key, "%.*s\n%.*s", STR_FMT(row->policy), STR_FMT(value));
        struct group *group = map_get(&seen, buf_str(&key));
        if (!group) {
            group = &groups[count++];
            *group = (struct group){row->policy, value, 0, 0};
            if (!map_set(&seen, buf_str(&key), group))
                return NULL;
        }
        group->matches += row->matches;
        group->before += row->before;
    }
    if (groups)
        qsort(groups, count, sizeof *groups, compare_groups);
    *ret_count = count;
    return groups;
}

/* ---- the gate ---- */

struct gate {
    int64_t matches_max, growth_max; // -1 = none; growth in per cent
};

static bool read_bound(const char *text, const char *name, int64_t *ret)
{
    struct str s = str_from(text);
    *ret = -1;
    if (!text)
        return true;
    if (str_ends(s, STR("%")))
        s.len--;
    if (str_to_int64(s, ret) && *ret >= 0 && *ret <= INT64_MAX / 1000)
        return true;
    cli_usage("--%s wants a number of 0 or more, not `%s`", name, text);
    return false;
}

/* Why this policy does not pass, or NULL. A policy that is new cannot have grown. */
static const char *gate_reason(const struct gate *gate, const struct replay_policy *p,
                               struct arena *arena)
{
    if (gate->matches_max >= 0 && p->matches > (uint64_t)gate->matches_max)
        return arena_printf(arena, "%llu matches, more than the %lld of --max-matches",
                            (unsigned long long)p->matches, (long long)gate->matches_max);
    if (gate->growth_max < 0 || p->is_new || p->matches <= p->before)
        return NULL;
    if ((p->matches - p->before) * 100 > p->before * (uint64_t)gate->growth_max)
        return arena_printf(arena,
                            "%llu matches instead of %llu, more than the %lld %% of --max-growth",
                            (unsigned long long)p->matches, (unsigned long long)p->before,
                            (long long)gate->growth_max);
    return NULL;
}

static int hold_gate(const struct gate *gate, const struct replay_result *r, struct arena *arena)
{
    int code = CLI_OK;
    for (size_t i = 0; i < r->policy_count; i++) {
        const char *reason = gate_reason(gate, &r->policies[i], arena);
        if (!reason)
            continue;
        fprintf(stderr, "rectify: policy %.*s does not pass: %s\n", STR_FMT(r->policies[i].name),
                reason);
        code = CLI_DIFFERENT;
    }
    return code;
}

/* ---- JSON ---- */

static struct value number(uint64_t n)
{
    return value_int((int64_t)n);
}

static struct value json_groups(const struct replay_result *r, struct str policy,
                                enum column column, bool against, struct arena *arena)
{
    size_t count = 0;
    struct group *groups = group_rows(r, column, arena, &count);
    struct value_builder out = {.arena = arena};
    for (size_t i = 0; groups && i < count; i++) {
        struct value v = number(groups[i].matches);
        if (!str_eq(groups[i].policy, policy))
            continue;
        if (against) {
            struct value_builder both = {.arena = arena};
            value_set(&both, "matches", v);
            value_set(&both, "before", number(groups[i].before));
            v = value_finish_map(&both);
        }
        value_set_str(&out, groups[i].value, v);
    }
    return value_finish_map(&out);
}

static struct value json_policy(const struct replay_result *r, const struct replay_policy *p,
                                bool against, const struct gate *gate, struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    const char *reason = gate_reason(gate, p, arena);
    value_set(&out, "policy", value_string(p->name));
    value_set(&out, "matches", number(p->matches));
    value_set(&out, "resources", number(p->resources));
    if (against) {
        value_set(&out, "status", value_cstr(p->is_new ? "new" : p->is_gone ? "gone" : "kept"));
        value_set(&out, "before", number(p->before));
        value_set(&out, "more", number(p->more));
        value_set(&out, "less", number(p->less));
    }
    if (reason)
        value_set(&out, "gate", value_cstr(reason));
    value_set(&out, "accounts", json_groups(r, p->name, BY_ACCOUNT, against, arena));
    value_set(&out, "actors", json_groups(r, p->name, BY_ACTOR, against, arena));
    value_set(&out, "days", json_groups(r, p->name, BY_DAY, against, arena));
    return value_finish_map(&out);
}

static void print_json(const struct replay_result *r, bool against, const struct gate *gate,
                       struct arena *arena)
{
    struct value_builder out = {.arena = arena}, policies = {.arena = arena};
    for (size_t i = 0; i < r->policy_count; i++)
        value_push(&policies, json_policy(r, &r->policies[i], against, gate, arena));
    value_set(&out, "schema", value_cstr("rectify.replay/v1"));
    value_set(&out, "files", number(r->files));
    value_set(&out, "files_passed_over", number(r->files_passed_over));
    value_set(&out, "events", number(r->events));
    value_set(&out, "bytes", number(r->bytes));
    value_set(&out, "bad", number(r->bad));
    value_set(&out, "unnamed", number(r->unnamed));
    value_set(&out, "policies", value_finish_list(&policies));
    cli_print_json(arena, value_finish_map(&out));
}

/* ---- table ---- */

static void print_policies(struct buf *out, const struct replay_result *r, bool against)
{
    buf_printf(out, "%-40s %10s %10s", "POLICY", "MATCHES", "RESOURCES");
    buf_add_cstr(out, against ? "     BEFORE       MORE       LESS\n" : "\n");
    for (size_t i = 0; i < r->policy_count; i++) {
        const struct replay_policy *p = &r->policies[i];
        buf_printf(out, "%-40.*s %10llu %10llu", STR_FMT(p->name), (unsigned long long)p->matches,
                   (unsigned long long)p->resources);
        if (against)
            buf_printf(out, " %10llu %10llu %10llu%s", (unsigned long long)p->before,
                       (unsigned long long)p->more, (unsigned long long)p->less,
                       p->is_new    ? "  new"
                       : p->is_gone ? "  gone"
                                    : "");
        buf_add_byte(out, '\n');
    }
}

static void print_groups(struct buf *out, const struct replay_result *r, enum column column,
                         const char *name, bool against)
{
    size_t count = 0, shown;
    struct group *groups = group_rows(r, column, out->arena, &count);
    if (!groups || count == 0)
        return;
    if (column == BY_ACTOR)
        qsort(groups, count, sizeof *groups, compare_sizes);
    shown = column == BY_ACTOR && count > ACTORS_SHOWN ? ACTORS_SHOWN : count;
    buf_printf(out, "\n%-40s %10s %s%s\n", "POLICY", "MATCHES", against ? "    BEFORE " : "", name);
    for (size_t i = 0; i < shown; i++) {
        buf_printf(out, "%-40.*s %10llu ", STR_FMT(groups[i].policy),
                   (unsigned long long)groups[i].matches);
        if (against)
            buf_printf(out, "%10llu ", (unsigned long long)groups[i].before);
        buf_add_visible(out, groups[i].value);
        buf_add_byte(out, '\n');
    }
    if (shown < count)
        buf_printf(out, "%-40s %zu more; -o json has all\n", "...", count - shown);
}

static void print_table(const struct replay_result *r, bool against, struct arena *arena)
{
    struct buf out = {.arena = arena};
    print_policies(&out, r, against);
    print_groups(&out, r, BY_ACCOUNT, "ACCOUNT", against);
    print_groups(&out, r, BY_ACTOR, "ACTOR", against);
    print_groups(&out, r, BY_DAY, "DAY", against);
    cli_print(&out);
}

/* ---- progress ---- */

struct meter {
    int64_t started_ms;
    bool on, drawn;
};

static void draw(void *ctx, const struct replay_progress *p)
{
    struct meter *meter = ctx;
    int64_t ms = clock_steady_ms(clock_system()) - meter->started_ms;
    if (!meter->on || ms < 1000)
        return;
    char bar[BAR_CELLS + 1];
    unsigned done = p->bytes_total ? (unsigned)(p->bytes * BAR_CELLS / p->bytes_total) : 0;
    for (unsigned i = 0; i < BAR_CELLS; i++)
        bar[i] = i < done ? '#' : '.';
    bar[BAR_CELLS] = '\0';
    fprintf(stderr, "\r[%s] %3u %%  %llu events  %llu matches  %.0f MB/s ", bar,
            p->bytes_total ? (unsigned)(p->bytes * 100 / p->bytes_total) : 0,
            (unsigned long long)p->events, (unsigned long long)p->matches,
            (double)p->bytes / 1e3 / (double)ms);
    meter->drawn = true;
}

static struct meter start_meter(void)
{
    const char *term = getenv("TERM");
    return (struct meter){clock_steady_ms(clock_system()),
                          isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0, false};
}

static void sum_up(const struct meter *meter, const struct replay_result *r)
{
    int64_t ms = clock_steady_ms(clock_system()) - meter->started_ms;
    double seconds = (double)(ms ? ms : 1) / 1000;
    if (meter->drawn)
        fputs("\r\033[K", stderr);
    fprintf(stderr, "%llu events of %llu files, %.1f MB, in %.2f s (%.0f MB/s, %.0f events/s)\n",
            (unsigned long long)r->events, (unsigned long long)r->files, (double)r->bytes / 1e6,
            seconds, (double)r->bytes / 1e6 / seconds, (double)r->events / seconds);
    if (r->files_passed_over)
        fprintf(stderr, "%llu files passed over: digests, or not named as events are\n",
                (unsigned long long)r->files_passed_over);
    if (r->bad + r->unnamed)
        fprintf(stderr, "%llu pieces were no event, %llu named no usable resource; the first: %s\n",
                (unsigned long long)r->bad, (unsigned long long)r->unnamed, r->first_bad.message);
}

/* ---- the command ---- */

static size_t split_accounts(const char *list, struct str ret[ACCOUNTS_MAX])
{
    size_t count = 0;
    for (struct str rest = str_from(list); rest.len && count < ACCOUNTS_MAX;)
        ret[count++] = str_trim(str_cut(&rest, ','));
    return count;
}

static int replay(const struct cli_options *options, const struct policy_set *policies,
                  const struct policy_set *against, const struct gate *gate)
{
    struct arena arena ARENA_AUTO = {0};
    struct replay_result result;
    struct error err;
    struct str accounts[ACCOUNTS_MAX];
    struct detect_scope scope = {.accounts = accounts,
                                 .account_count = split_accounts(options->accounts, accounts)};
    struct meter meter = start_meter();
    struct replay_options run = {.policies = policies,
                                 .against = against,
                                 .paths = options->args,
                                 .path_count = (size_t)options->arg_count,
                                 .scope = &scope,
                                 .threads = options->jobs > 0 ? (unsigned)options->jobs : 0,
                                 .now_ms = clock_wall_ms(clock_system()),
                                 .progress = draw,
                                 .progress_ctx = &meter};
    if (!replay_run(&run, &arena, &result, &err)) {
        if (meter.drawn)
            fputc('\n', stderr);
        return cli_fail(&err);
    }
    sum_up(&meter, &result);
    if (options->json)
        print_json(&result, against != NULL, gate, &arena);
    else
        print_table(&result, against != NULL, &arena);
    return hold_gate(gate, &result, &arena);
}

int cli_replay(const struct cli_options *options)
{
    struct gate gate;
    struct error err;
    if (options->arg_count == 0)
        return cli_usage("say which files or folders of events, or - for standard input");
    if (!read_bound(options->max_matches, "max-matches", &gate.matches_max) ||
        !read_bound(options->max_growth, "max-growth", &gate.growth_max))
        return CLI_USAGE;
    if (options->max_growth && !options->against)
        return cli_usage("--max-growth compares with --against OTHER_POLICIES");
    struct aws_models *models = cli_open_models(options, &err);
    if (!models)
        return cli_fail(&err);
    struct policy_set *policies = cli_load_policies(options, models), *against = NULL;
    int code = policies ? CLI_OK : CLI_FAILED;
    if (policies && options->against) {
        struct cli_options other = {.policies = options->against};
        against = cli_load_policies(&other, models);
        code = against ? CLI_OK : CLI_FAILED;
    }
    if (code == CLI_OK)
        code = replay(options, policies, against, &gate);
    policy_set_destroy(policies);
    policy_set_destroy(against);
    aws_models_close(models);
    return code;
}
