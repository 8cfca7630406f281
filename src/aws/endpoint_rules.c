// SPDX-License-Identifier: Apache-2.0
/* The evaluator of endpoint rule sets: conditions, references, templates, the tree.
 *
 * A rule set is read as the JSON value that it is; results are cached by whoever calls often.
 * Assignments are a list that grows towards the inner rules:
 *
 *   rule A (assigns x) ──► rule B (assigns y): sees y ─► x ─► parameters
 */
#include "aws/endpoint.h"

#define RULE_DEPTH_MAX 64

struct binding {
    struct str name;
    struct value value;
    const struct binding *outer;
};

struct evaluation {
    struct value parameters, partitions, params;
    struct arena *arena;
    struct aws_endpoint *ret;
    struct error *err;
    bool failed;
};

enum verdict { NO_MATCH, FOUND, ERROR };

static struct value resolve(struct evaluation *e, const struct binding *scope, struct value v,
                            unsigned depth);

static struct value lookup(const struct evaluation *e, const struct binding *scope, struct str name)
{
    for (; scope; scope = scope->outer) {
        if (str_eq(scope->name, name))
            return scope->value;
    }
    const struct value *given = value_get(e->params, name);
    if (given && given->kind != VALUE_NULL)
        return *given;
    const struct value *parameter = value_get(e->parameters, name);
    const struct value *fallback = parameter ? value_get(*parameter, STR("default")) : NULL;
    return fallback ? *fallback : value_null();
}

/* "{Region}", "{url#authority}"; "{{" and "}}" stand for themselves. */
static struct value template(struct evaluation *e, const struct binding *scope, struct str text)
{
    if (!text.len || !(memchr(text.ptr, '{', text.len) || memchr(text.ptr, '}', text.len)))
        return value_string(text);
    struct buf out = {.arena = e->arena};
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool twice = i + 1 < text.len && text.ptr[i + 1] == c;
        if (c != '{' || twice) {
            buf_add_byte(&out, c);
            i += (c == '{' || c == '}') && twice;
            continue;
        }
        struct str rest = str_sub(text, i + 1, SIZE_MAX);
        struct str path = str_cut(&rest, '}');
        i += path.len + 1;
        struct str name = str_cut(&path, '#');
        struct value v = lookup(e, scope, name);
        if (path.len)
            v = aws_endpoint_attribute(v, path);
        if (v.kind == VALUE_NULL) { // an empty text in its place would make another name
            e->failed = true;
            error_set(e->err, "A0311", "the endpoint rules need `%.*s`, which is not set",
                      STR_FMT(name));
        }
        buf_add_str(&out, value_str(v));
    }
    struct str done = buf_str(&out);
    e->failed |= out.failed;
    return value_string(done.ptr ? done : STR(""));
}

static struct value call(struct evaluation *e, const struct binding *scope, struct value signature,
                         struct str name, unsigned depth)
{
    const struct value *argv = value_get(signature, STR("argv"));
    struct value args[8];
    size_t argc = 0;
    for (uint32_t i = 0; argv && argv->kind == VALUE_LIST && i < argv->len && argc < 8; i++)
        args[argc++] = resolve(e, scope, argv->items[i], depth + 1);
    bool known = true;
    struct value v = aws_endpoint_function(name, args, argc, e->partitions, e->arena, &known);
    if (!known) {
        e->failed = true;
        error_set(e->err, "A0311", "the endpoint rules call `%.*s`, which is not known here",
                  STR_FMT(name));
    }
    return v;
}

/* References and calls to their values, templates to their text, all inside of lists and maps too.
 */
static struct value resolve(struct evaluation *e, const struct binding *scope, struct value v,
                            unsigned depth)
{
    if (depth > RULE_DEPTH_MAX) {
        e->failed = true;
        return value_null();
    }
    if (v.kind == VALUE_STRING)
        return template(e, scope, value_str(v));
    if (v.kind == VALUE_LIST) {
        struct value_builder list = {.arena = e->arena};
        for (uint32_t i = 0; i < v.len; i++)
            value_push(&list, resolve(e, scope, v.items[i], depth + 1));
        return value_finish_list(&list);
    }
    if (v.kind != VALUE_MAP)
        return v;
    const struct value *ref = value_get(v, STR("ref")), *fn = value_get(v, STR("fn"));
    if (ref)
        return lookup(e, scope, value_str(*ref));
    if (fn)
        return call(e, scope, v, value_str(*fn), depth);
    struct value_builder map = {.arena = e->arena};
    for (uint32_t i = 0; i < v.len; i++)
        value_set_str(&map, value_str(v.pairs[i].key),
                      resolve(e, scope, v.pairs[i].value, depth + 1));
    return value_finish_map(&map);
}

static struct value member_or_map(struct value v, const char *name)
{
    const struct value *found = value_get(v, str_from(name));
    return found ? *found : (struct value){.kind = VALUE_MAP};
}

static enum verdict found(struct evaluation *e, const struct binding *scope, struct value endpoint)
{
    const struct value *url = value_get(endpoint, STR("url"));
    struct aws_endpoint made = {0};
    made.url = value_str(resolve(e, scope, url ? *url : value_null(), 0));
    made.properties = resolve(e, scope, member_or_map(endpoint, "properties"), 0);
    made.headers = resolve(e, scope, member_or_map(endpoint, "headers"), 0);
    if (e->failed || !made.url.len)
        return ERROR;
    *e->ret = made;
    return FOUND;
}

static enum verdict rule(struct evaluation *e, const struct binding *scope, struct value r,
                         unsigned depth);

static enum verdict body(struct evaluation *e, const struct binding *scope, struct value r,
                         unsigned depth)
{
    const struct value *endpoint = value_get(r, STR("endpoint"));
    if (endpoint)
        return found(e, scope, *endpoint);
    const struct value *error = value_get(r, STR("error"));
    if (error) {
        struct str message = value_str(resolve(e, scope, *error, 0));
        error_set(e->err, "A0310", "%.*s", STR_FMT(message));
        return ERROR;
    }
    const struct value *rules = value_get(r, STR("rules"));
    for (uint32_t i = 0; rules && rules->kind == VALUE_LIST && i < rules->len; i++) {
        enum verdict verdict = rule(e, scope, rules->items[i], depth + 1);
        if (verdict != NO_MATCH)
            return verdict;
    }
    return NO_MATCH;
}

/* Conditions one by one, each seeing what those before it assigned. */
static enum verdict conditions(struct evaluation *e, const struct binding *scope, struct value r,
                               uint32_t from, unsigned depth)
{
    const struct value *list = value_get(r, STR("conditions"));
    uint32_t count = list && list->kind == VALUE_LIST ? list->len : 0;
    for (uint32_t i = from; i < count; i++) {
        struct value v = resolve(e, scope, list->items[i], 0);
        if (e->failed)
            return ERROR;
        if (v.kind == VALUE_NULL || (v.kind == VALUE_BOOL && !v.b))
            return NO_MATCH;
        const struct value *assign = value_get(list->items[i], STR("assign"));
        if (assign) {
            struct binding inner = {value_str(*assign), v, scope};
            return conditions(e, &inner, r, i + 1, depth);
        }
    }
    return body(e, scope, r, depth);
}

static enum verdict rule(struct evaluation *e, const struct binding *scope, struct value r,
                         unsigned depth)
{
    if (depth > RULE_DEPTH_MAX) {
        e->failed = true;
        return ERROR;
    }
    return conditions(e, scope, r, 0, depth);
}

static bool has_required(struct evaluation *e)
{
    for (uint32_t i = 0; e->parameters.kind == VALUE_MAP && i < e->parameters.len; i++) {
        struct value_pair pair = e->parameters.pairs[i];
        const struct value *required = value_get(pair.value, STR("required"));
        bool must = required && required->kind == VALUE_BOOL && required->b;
        if (must && lookup(e, NULL, value_str(pair.key)).kind == VALUE_NULL)
            return error_set(e->err, "A0310", "the endpoint needs the parameter %.*s",
                             STR_FMT(value_str(pair.key)));
    }
    return true;
}

bool aws_endpoint_evaluate(struct value rules, struct value partitions, struct value params,
                           struct arena *arena, struct aws_endpoint *ret, struct error *err)
{
    struct evaluation e = {.parameters = member_or_map(rules, "parameters"),
                           .partitions = partitions,
                           .params = params,
                           .arena = arena,
                           .ret = ret,
                           .err = err};
    error_set(err, "A0311", "the endpoint rules are malformed");
    if (!has_required(&e))
        return false;
    enum verdict verdict = body(&e, NULL, rules, 0);
    if (verdict == NO_MATCH)
        return error_set(err, "A0311", "no endpoint rule fits these parameters");
    return verdict == FOUND;
}
