// SPDX-License-Identifier: Apache-2.0
/* The policies' triggers as EventBridge rules. Those of `events` differ in nothing but the service
 * and the names: one rule a service has all names that any policy wants, and one more for each
 * GENERATE_PATTERN_BYTES. A verbatim `pattern` is a rule of its own; equal ones are one. */
#include "generate/generate_internal.h"

#include "value/json.h"

#include <stdlib.h>

#define RULES_ROOM (GENERATE_RULES_MAX + 1)
#define NAMES_MAX 4096

struct name { // one alternative of eventName under one source
    struct str source, text;
    struct value value;
};

struct rules {
    struct arena *arena;
    struct name *names;
    size_t name_count;
    struct generate_rule *items;
    size_t count;
};

static struct str canonical(struct arena *arena, struct value v)
{
    struct buf out = {.arena = arena};
    json_write(&out, v, JSON_CANONICAL);
    return buf_str(&out);
}

static bool add_rule(struct rules *r, struct str name, struct str description, struct value pattern,
                     struct error *err)
{
    struct str text = canonical(r->arena, pattern);
    if (text.len > GENERATE_PATTERN_BYTES) {
        error_set(err, "J0005", "the pattern of rule %.*s has %zu bytes; EventBridge takes %u",
                  STR_FMT(name), text.len, GENERATE_PATTERN_BYTES);
        return error_hint(err, "divide the policy's pattern");
    }
    for (size_t i = 0; i < r->count; i++)
        if (value_equal(r->items[i].pattern, pattern))
            return true;
    if (r->count == GENERATE_RULES_MAX)
        return error_set(err, "J0006", "more than %u rules, EventBridge's default for a bus",
                         GENERATE_RULES_MAX);
    r->items[r->count++] = (struct generate_rule){name, description, pattern};
    return true;
}

/* ---- operations ---- */

static bool add_names(struct rules *r, struct value pattern, struct error *err)
{
    struct str source = value_path_str(pattern, "source.0");
    const struct value *names = value_path(pattern, "detail.eventName");
    for (uint32_t i = 0; names && i < names->len; i++) {
        if (r->name_count == NAMES_MAX)
            return error_set(err, "J0006", "more than %d names of events", NAMES_MAX);
        r->names[r->name_count++] =
            (struct name){source, canonical(r->arena, names->items[i]), names->items[i]};
    }
    return true;
}

static int compare_names(const void *pa, const void *pb)
{
    const struct name *a = pa, *b = pb;
    int order = str_compare(a->source, b->source);
    return order ? order : str_compare(a->text, b->text);
}

/* The pattern of names [from, to), all of one source. */
static struct value service_pattern(const struct rules *r, size_t from, size_t to)
{
    struct arena *arena = r->arena;
    struct value_builder out = {.arena = arena}, detail = {.arena = arena};
    struct value_builder names = {.arena = arena}, sources = {.arena = arena},
                         none = {.arena = arena};
    struct str service = str_sub(r->names[from].source, 4, SIZE_MAX); // behind "aws."
    for (size_t i = from; i < to; i++)
        if (i == from || !str_eq(r->names[i].text, r->names[i - 1].text))
            value_push(&names, r->names[i].value);
    value_push(&none, generate_pair(arena, "exists", value_bool(false)));
    struct value absent = value_finish_list(&none);
    value_push(&sources, value_string(r->names[from].source));
    value_set(&out, "source", value_finish_list(&sources));
    value_set(&out, "detail-type", generate_one(arena, "AWS API Call via CloudTrail"));
    struct value host = generate_text(arena, "%.*s.amazonaws.com", STR_FMT(service));
    struct value_builder hosts = {.arena = arena};
    value_push(&hosts, host);
    value_set(&detail, "eventSource", value_finish_list(&hosts));
    value_set(&detail, "eventName", value_finish_list(&names));
    value_set(&detail, "errorCode", absent);
    value_set(&detail, "errorMessage", absent);
    value_set(&out, "detail", value_finish_map(&detail));
    return value_finish_map(&out);
}

/* The rules of one source: names [from, to). */
static bool add_service(struct rules *r, size_t from, size_t to, struct error *err)
{
    struct str service = str_sub(r->names[from].source, 4, SIZE_MAX);
    for (unsigned part = 1; from < to; part++) {
        size_t end = to;
        struct value pattern = service_pattern(r, from, end);
        while (end - from > 1 && canonical(r->arena, pattern).len > GENERATE_PATTERN_BYTES)
            pattern = service_pattern(r, from, --end);
        const char *name = part == 1
                               ? arena_printf(r->arena, "rectify-%.*s", STR_FMT(service))
                               : arena_printf(r->arena, "rectify-%.*s-%u", STR_FMT(service), part);
        const char *what = arena_printf(r->arena, "Successful calls of %.*s that a policy looks at",
                                        STR_FMT(service));
        if (!add_rule(r, str_from(name), str_from(what), pattern, err))
            return false;
        from = end;
    }
    return true;
}

static bool add_services(struct rules *r, struct error *err)
{
    qsort(r->names, r->name_count, sizeof *r->names, compare_names);
    for (size_t from = 0, to; from < r->name_count; from = to) {
        for (to = from + 1;
             to < r->name_count && str_eq(r->names[to].source, r->names[from].source); to++)
            ;
        if (!add_service(r, from, to, err))
            return false;
    }
    return true;
}

/* ---- all ---- */

static int compare_rules(const void *pa, const void *pb)
{
    const struct generate_rule *a = pa, *b = pb;
    return str_compare(a->name, b->name);
}

static bool add_policy(struct rules *r, const struct policy *p, struct error *err)
{
    for (size_t i = 0; i < p->trigger_count; i++) {
        struct value pattern;
        if (!json_parse(r->arena, p->triggers[i].pattern, &pattern, err))
            return error_context(err, "policy %.*s", STR_FMT(p->name));
        if (p->triggers[i].is_operation) {
            if (!add_names(r, pattern, err))
                return false;
            continue;
        }
        const char *name = arena_printf(r->arena, "rectify-pattern-%.*s", STR_FMT(p->name));
        const char *what = arena_printf(r->arena, "The pattern of policy %.*s", STR_FMT(p->name));
        struct str short_name = str_sub(str_from(name), 0, 64);
        if (!add_rule(r, short_name, str_from(what), pattern, err))
            return false;
    }
    return true;
}

bool generate_rules(const struct generate_options *options, struct arena *arena,
                    struct generate_rule **ret, size_t *ret_count, struct error *err)
{
    struct rules r = {.arena = arena};
    r.names = ARENA_ARRAY(arena, struct name, NAMES_MAX);
    r.items = ARENA_ARRAY(arena, struct generate_rule, RULES_ROOM);
    if (!r.names || !r.items)
        return error_set(err, "J0001", "out of memory");
    for (size_t i = 0; i < policy_set_count(options->policies); i++) {
        const struct policy *p = policy_set_at(options->policies, i);
        if (generate_mode(options, p, arena) != MODE_OFF && !add_policy(&r, p, err))
            return false;
    }
    if (!add_services(&r, err))
        return false;
    qsort(r.items, r.count, sizeof *r.items, compare_rules);
    *ret = r.items;
    *ret_count = r.count;
    return true;
}
