// SPDX-License-Identifier: Apache-2.0
/* Answers questions about expressions, for comparing with other implementations
 * (tests/conform/cel_differential.py): reads {"e": EXPRESSION, "core": BOOL, "un": BOOL} a line
 * (core: no extensions; un: unchecked) and prints a line of JSON with the phase it came to
 * ("parse", "check", "error", "ok"), the places of mistakes, the type, and the value in a notation
 * that shows its kind: i1 u1 d<bits> s<hex> b<hex> t<seconds>.<nanos> D<nanos> T<type> [..] {..}.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cel/cel.h"
#include "value/json.h"

#define VARIABLES 16

struct question {
    struct arena arena;
    struct cel_env *env;
    struct value slots[VARIABLES];
};

static void die(const char *why)
{
    fprintf(stderr, "cel_answer: %s\n", why);
    exit(2);
}

static void add_hex(struct buf *out, char prefix, struct str s)
{
    buf_add_byte(out, prefix);
    for (size_t i = 0; i < s.len; i++)
        buf_printf(out, "%02x", (unsigned char)s.ptr[i]);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void show(struct buf *out, struct value v);

static void show_map(struct buf *out, struct value v)
{
    const char **entries = ARENA_ARRAY(out->arena, const char *, v.len + 1);
    if (!entries)
        die("out of memory");
    for (uint32_t i = 0; i < v.len; i++) {
        struct buf entry = {.arena = out->arena};
        show(&entry, v.pairs[i].key);
        buf_add_byte(&entry, ':');
        show(&entry, v.pairs[i].value);
        entries[i] = buf_str(&entry).ptr;
    }
    qsort(entries, v.len, sizeof *entries, by_text);
    buf_add_byte(out, '{');
    for (uint32_t i = 0; i < v.len; i++)
        buf_printf(out, "%s%s", i ? "," : "", entries[i]);
    buf_add_byte(out, '}');
}

static void show_list(struct buf *out, struct value v)
{
    buf_add_byte(out, '[');
    for (uint32_t i = 0; i < v.len; i++) {
        buf_add_cstr(out, i ? "," : "");
        show(out, v.items[i]);
    }
    buf_add_byte(out, ']');
}

/* ip("::1") as net.IP(::1) */
static void show_opaque(struct buf *out, struct value v)
{
    struct buf text = {.arena = out->arena};
    cel_value_print(&text, v, 0);
    struct str rest = buf_str(&text);
    str_cut(&rest, '"');
    struct str address = str_cut(&rest, '"');
    buf_printf(out, "%s(%.*s)", cel_value_type_name(v), STR_FMT(address));
}

static void show(struct buf *out, struct value v)
{
    switch ((enum value_kind)v.kind) {
    case VALUE_NULL:
        buf_add_cstr(out, "null");
        break;
    case VALUE_BOOL:
        buf_add_cstr(out, v.b ? "true" : "false");
        break;
    case VALUE_INT:
        buf_printf(out, "i%" PRId64, v.i);
        break;
    case VALUE_UINT:
        buf_printf(out, "u%" PRIu64, v.u);
        break;
    case VALUE_DOUBLE:
        if (v.d != v.d)
            buf_add_cstr(out, "dNaN");
        else
            buf_printf(out, "d%016" PRIx64, v.u);
        break;
    case VALUE_STRING:
        add_hex(out, 's', value_str(v));
        break;
    case VALUE_BYTES:
        add_hex(out, 'b', value_str(v));
        break;
    case VALUE_LIST:
        show_list(out, v);
        break;
    case VALUE_MAP:
        show_map(out, v);
        break;
    case VALUE_TIMESTAMP:
        buf_printf(out, "t%" PRId64 ".%u", v.i, v.len);
        break;
    case VALUE_DURATION:
        buf_printf(out, "D%" PRId64, v.i);
        break;
    case VALUE_TYPE:
        buf_printf(out, "T%s", (const char *)v.opaque);
        break;
    case VALUE_OPTIONAL:
        buf_add_cstr(out, v.opaque ? "opt(" : "none");
        if (v.opaque) {
            show(out, *(const struct value *)v.opaque);
            buf_add_byte(out, ')');
        }
        break;
    case VALUE_OPAQUE:
        show_opaque(out, v);
        break;
    }
}

static void declare(struct question *q, const char *name, const struct cel_type *type,
                    struct value v)
{
    unsigned slot;
    if (!cel_env_add_variable(q->env, str_from(name), type, &slot, NULL) || slot >= VARIABLES)
        die(name);
    q->slots[slot] = v;
}

static struct value json(struct question *q, const char *text)
{
    struct value v;
    if (!json_parse(&q->arena, str_from(text), &v, NULL))
        die(text);
    return v;
}

/* The same as in cel_oracle/main.go. */
static void declare_all(struct question *q, bool core)
{
    static const struct value four = {.kind = VALUE_INT, .i = 4};
    const struct cel_type *integer = cel_type_of(VALUE_INT), *text = cel_type_of(VALUE_STRING);
    declare(q, "i", integer, value_int(7));
    declare(q, "u", cel_type_of(VALUE_UINT), value_uint(9));
    declare(q, "d", cel_type_of(VALUE_DOUBLE), value_double(2.5));
    declare(q, "s", text, value_cstr("h\xc3\xa9llo w\xc3\xb6rld"));
    declare(q, "b", cel_type_of(VALUE_BOOL), value_bool(true));
    declare(q, "y", cel_type_of(VALUE_BYTES), value_bytes((struct str){"\0\xff\x41", 3}));
    declare(q, "l", cel_type_list(&q->arena, integer), json(q, "[3, 1, 2]"));
    declare(q, "ls", cel_type_list(&q->arena, text), json(q, "[\"b\", \"a\", \"\\u00e9\"]"));
    declare(q, "m", cel_type_map(&q->arena, text, integer), json(q, "{\"one\": 1, \"two\": 2}"));
    declare(q, "x", cel_type_dyn(),
            json(q, "{\"a\": {\"b\": [1, 2.5, \"three\", null, true]}, \"n\": null, \"k\": \"v\", "
                    "\"tags\": [{\"Key\": \"a\", \"Value\": \"1\"}, {\"Key\": \"b\"}]}"));
    declare(q, "t", cel_type_of(VALUE_TIMESTAMP),
            (struct value){.kind = VALUE_TIMESTAMP, .i = 1743297296, .len = 123456789});
    declare(q, "D", cel_type_of(VALUE_DURATION),
            (struct value){.kind = VALUE_DURATION, .i = 5400123456789});
    if (!core)
        declare(q, "o", cel_type_optional(&q->arena, integer),
                (struct value){.kind = VALUE_OPTIONAL, .opaque = &four});
}

static void refused(struct question *q, const struct error_list *errors, struct value_builder *ret)
{
    struct value_builder places = {.arena = &q->arena};
    struct buf text = {.arena = &q->arena};
    bool parsing = str_starts(str_from(errors->items[0]->code), STR("C00"));
    for (size_t i = 0; i < errors->count && i < ERROR_LIST_MAX; i++) {
        const struct error *err = errors->items[i];
        value_push(&places, value_cstr(arena_printf(&q->arena, "%u:%u", err->line, err->column)));
        buf_printf(&text, "%s\n", err->message);
    }
    value_set(ret, "p", value_cstr(parsing ? "parse" : "check"));
    value_set(ret, "at", value_finish_list(&places));
    value_set(ret, "m", value_string(buf_str(&text)));
}

static struct value answer(struct question *q, struct value asked)
{
    struct value_builder ret = {.arena = &q->arena};
    struct error_list errors = {.arena = &q->arena};
    struct error err;
    struct value v;
    const struct value *core = value_get(asked, STR("core")), *un = value_get(asked, STR("un"));
    struct cel_options options = {
        .core_only = core && core->b, .unchecked = un && un->b, .literals_at_run_time = true};
    q->env = cel_env_create(&q->arena, NULL);
    if (!q->env)
        die("out of memory");
    cel_env_set_options(q->env, options);
    declare_all(q, options.core_only);
    const struct cel_program *program =
        cel_compile(q->env, &q->arena, value_path_str(asked, "e"), NULL, NULL, &errors);
    if (!program) {
        refused(q, &errors, &ret);
        return value_finish_map(&ret);
    }
    if (!options.unchecked)
        value_set(&ret, "ty", value_cstr(cel_type_text(&q->arena, cel_program_type(program))));
    bool ok = cel_eval(program, q->slots, NULL, &q->arena, &v, &err);
    struct buf text = {.arena = &q->arena};
    if (ok)
        show(&text, v);
    else
        buf_printf(&text, "%s", err.message);
    value_set(&ret, "p", value_cstr(ok ? "ok" : "error"));
    value_set(&ret, ok ? "v" : "m", value_string(buf_str(&text)));
    cel_program_finish(program);
    return value_finish_map(&ret);
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t size; (size = getline(&line, &cap, stdin)) > 0;) {
        struct question q = {0};
        struct value asked;
        if (!json_parse(&q.arena, (struct str){line, (size_t)size}, &asked, NULL))
            die("a line is no JSON");
        struct buf out = {.arena = &q.arena};
        json_write(&out, answer(&q, asked), JSON_COMPACT);
        struct str text = buf_str(&out);
        printf("%.*s\n", STR_FMT(text));
        arena_finish(&q.arena);
    }
    free(line);
    return 0;
}
