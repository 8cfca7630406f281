// SPDX-License-Identifier: Apache-2.0
/* The expression language's benchmark, one core: cel_bench [--json] [ROW...]
 *
 * Each row is one expression over one document, evaluated by rectify with all limits on, and the
 * same question asked of Lua 5.4 in this process where Lua can ask it. Rounds of both are
 * interleaved; the figure is the median of the rounds, nanoseconds of the process's CPU time an
 * evaluation (what others do on the machine counts less then), its minimum in brackets. malloc is
 * counted over all measured evaluations. */
#include "cel/cel.h"
#include "value/json.h"

#include <lua5.4/lauxlib.h>
#include <lua5.4/lua.h>
#include <lua5.4/lualib.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 15
#define ROUND_NS 20e6

/* ---- counting allocations ---- */

extern void *__libc_malloc(size_t size);
static size_t mallocs;

void *malloc(size_t size)
{
    mallocs++;
    return __libc_malloc(size);
}

/* ---- the rows ---- */

struct row {
    const char *name, *variable, *json, *expression;
    const char *lua; // the body of a function of `v`; NULL: Lua has nothing like it
    bool compile;    // what is measured is compiling
};

#define TAGS                                                                                       \
    "[{\"Key\":\"owner\",\"Value\":\"a\"},{\"Key\":\"Name\",\"Value\":\"b\"},"                     \
    "{\"Key\":\"team\",\"Value\":\"c\"},{\"Key\":\"environment\",\"Value\":\"d\"},"                \
    "{\"Key\":\"created-by\",\"Value\":\"e\"},{\"Key\":\"cost-centre\",\"Value\":\"f\"},"          \
    "{\"Key\":\"project\",\"Value\":\"g\"},{\"Key\":\"backup\",\"Value\":\"h\"},"                  \
    "{\"Key\":\"schedule\",\"Value\":\"i\"},{\"Key\":\"data-class\",\"Value\":\"j\"}]"

static const struct row rows[] = {
    {"field", "resource", "{\"id\":\"b\",\"region\":\"eu-west-1\",\"account\":\"111122223333\"}",
     "resource.region == \"eu-west-1\"", "return v.region == 'eu-west-1'", false},
    {"exists", "tags", TAGS, "!tags.exists(t, t.Key == \"cost-center\")",
     "for _, t in ipairs(v) do if t.Key == 'cost-center' then return false end end return true",
     false},
    {"has-chain", "r", "{\"a\":{\"b\":{\"c\":{\"d\":true}}}}",
     "has(r.a) && has(r.a.b) && has(r.a.b.c) && has(r.a.b.c.d)",
     "return v.a ~= nil and v.a.b ~= nil and v.a.b.c ~= nil and v.a.b.c.d ~= nil", false},
    {"regex", "s", "\"i-0123456789abcdef01\"", "s.matches('^i-[0-9a-f]{17,}$')",
     "return string.find(v, '^i%-%x+$') ~= nil", false},
    {"pattern", "r",
     "{\"s\":\"i-0123456789abcdef01\",\"p\":\"^i-[0-9a-f]{17,}$\",\"lua\":\"^i%-%x+$\"}",
     "r.s.matches(r.p)", "return string.find(v.s, v.lua) ~= nil", false},
    {"rules", "rules", NULL,
     "rules.exists(r, r.IpProtocol == 'tcp' && r.FromPort <= 22 && r.ToPort >= 22 && "
     "r.IpRanges.exists(i, i.CidrIp == '0.0.0.0/0'))",
     "for _, r in ipairs(v) do if r.IpProtocol == 'tcp' and r.FromPort <= 22 and r.ToPort >= 22 "
     "then "
     "for _, i in ipairs(r.IpRanges) do if i.CidrIp == '0.0.0.0/0' then return true end end end "
     "end "
     "return false",
     false},
    {"compile", "tags", TAGS, "!tags.exists(t, t.Key == \"cost-center\")", NULL, true},
};

/* Fifty rules, none of them open. */
static const char *security_group(struct arena *arena)
{
    struct buf out = {.arena = arena};
    for (unsigned i = 0; i < 50; i++)
        buf_printf(
            &out,
            "%s{\"IpProtocol\":\"tcp\",\"FromPort\":%u,\"ToPort\":%u,\"UserIdGroupPairs\":[],"
            "\"IpRanges\":[{\"CidrIp\":\"10.%u.0.0/16\",\"Description\":\"x\"}]}",
            i ? "," : "[", i % 2 ? 20 : 400 + i, i % 2 ? 30 : 400 + i, i);
    buf_add_cstr(&out, "]");
    return buf_str(&out).ptr;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "cel_bench: %s: %s\n", what, why);
    exit(2);
}

/* ---- rectify ---- */

struct subject {
    const struct row *row;
    struct arena arena, step;
    struct cel_env *env;
    const struct cel_program *program;
    struct value slots[1];
    lua_State *lua;
    struct error err;
    bool answer;
};

static void prepare(struct subject *s, const struct row *row, const char *json)
{
    struct error err = {0};
    struct error_list errors = {.arena = &s->arena};
    s->row = row;
    s->env = cel_env_create(&s->arena, NULL);
    if (!json_parse(&s->arena, str_from(json), &s->slots[0], &err) || !s->env ||
        !cel_env_add_variable(s->env, str_from(row->variable), cel_type_dyn(), NULL, &err))
        die(row->name, err.message);
    s->program = cel_compile(s->env, &s->arena, str_from(row->expression), cel_type_of(VALUE_BOOL),
                             NULL, &errors);
    if (!s->program)
        die(row->name, errors.items[0]->message);
}

static void evaluate(struct subject *s)
{
    struct cel_budget budget = cel_budget_default();
    struct value v;
    if (!cel_eval(s->program, s->slots, &budget, &s->step, &v, &s->err))
        die(s->row->name, s->err.message);
    s->answer = v.b;
}

static void compile(struct subject *s)
{
    struct error_list errors = {.arena = &s->step};
    if (!cel_compile(s->env, &s->step, str_from(s->row->expression), cel_type_of(VALUE_BOOL), NULL,
                     &errors))
        die(s->row->name, errors.items[0]->message);
    arena_reset(&s->step);
}

/* ---- Lua ---- */

static void push(lua_State *lua, struct value v)
{
    switch ((enum value_kind)v.kind) {
    case VALUE_BOOL:
        lua_pushboolean(lua, v.b);
        break;
    case VALUE_INT:
        lua_pushinteger(lua, v.i);
        break;
    case VALUE_STRING:
        lua_pushlstring(lua, v.str, v.len);
        break;
    case VALUE_LIST:
        lua_createtable(lua, (int)v.len, 0);
        for (uint32_t i = 0; i < v.len; i++) {
            push(lua, v.items[i]);
            lua_rawseti(lua, -2, (lua_Integer)i + 1);
        }
        break;
    case VALUE_MAP:
        lua_createtable(lua, 0, (int)v.len);
        for (uint32_t i = 0; i < v.len; i++) {
            push(lua, v.pairs[i].key);
            push(lua, v.pairs[i].value);
            lua_rawset(lua, -3);
        }
        break;
    default:
        lua_pushnil(lua);
        break;
    }
}

/* The function and its argument stay on the stack at 1 and 2. */
static void prepare_lua(struct subject *s)
{
    char code[1024];
    s->lua = luaL_newstate();
    if (!s->lua)
        die("lua", "out of memory");
    luaL_openlibs(s->lua);
    snprintf(code, sizeof code, "return function(v) %s end", s->row->lua);
    if (luaL_dostring(s->lua, code))
        die("lua", lua_tostring(s->lua, -1));
    push(s->lua, s->slots[0]);
}

static void evaluate_lua(struct subject *s)
{
    lua_pushvalue(s->lua, 1);
    lua_pushvalue(s->lua, 2);
    if (lua_pcall(s->lua, 1, 1, 0))
        die("lua", lua_tostring(s->lua, -1));
    s->answer = lua_toboolean(s->lua, -1);
    lua_pop(s->lua, 1);
}

/* ---- measuring ---- */

struct figures {
    double rounds[ROUNDS];
};

static double round_of(struct subject *s, void (*once)(struct subject *), size_t count)
{
    double start = now_ns();
    for (size_t i = 0; i < count; i++)
        once(s);
    return (now_ns() - start) / (double)count;
}

static size_t calibrate(struct subject *s, void (*once)(struct subject *))
{
    size_t count = 64;
    while (count < (size_t)1 << 28 && round_of(s, once, count) * (double)count < ROUND_NS)
        count *= 2;
    return count;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(struct figures *f)
{
    qsort(f->rounds, ROUNDS, sizeof *f->rounds, by_value);
    return f->rounds[ROUNDS / 2];
}

static void run_row(const struct row *row, bool json)
{
    struct subject s = {0};
    struct figures ours = {0}, lua = {0};
    void (*once)(struct subject *) = row->compile ? compile : evaluate;
    const char *data = row->json ? row->json : security_group(&s.arena);
    prepare(&s, row, data);
    evaluate(&s);
    bool answer = s.answer;
    size_t count = calibrate(&s, once), lua_count = 0, allocated = 0;
    if (row->lua) {
        prepare_lua(&s);
        lua_count = calibrate(&s, evaluate_lua);
        if (s.answer != answer)
            die(row->name, "Lua answers otherwise");
    }
    for (int i = 0; i < ROUNDS; i++) {
        size_t before = mallocs;
        ours.rounds[i] = round_of(&s, once, count);
        allocated += mallocs - before;
        if (row->lua)
            lua.rounds[i] = round_of(&s, evaluate_lua, lua_count);
    }
    double mine = median(&ours), theirs = row->lua ? median(&lua) : 0;
    double each = (double)allocated / ((double)count * ROUNDS);
    if (json)
        printf("{\"row\":\"%s\",\"ns\":%.2f,\"min_ns\":%.2f,\"lua_ns\":%.2f,\"mallocs\":%.3f,"
               "\"variable\":\"%s\",\"expression\":\"%s\"}\n",
               row->name, mine, ours.rounds[0], theirs, each, row->variable, "");
    else
        printf("%-10s %9.1f ns [%.1f]   Lua 5.4 %9.1f ns   %5.2fx   mallocs %.3f\n", row->name,
               mine, ours.rounds[0], theirs, theirs / mine, each);
    if (s.lua)
        lua_close(s.lua);
    cel_program_finish(s.program);
    arena_finish(&s.arena);
    arena_finish(&s.step);
}

/* {"row", "variable", "expression", "data"}: what the peers are asked. */
static void export_rows(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ARENA_AUTO struct arena arena = {0};
        struct buf out = {.arena = &arena};
        const char *data = rows[i].json ? rows[i].json : security_group(&arena);
        buf_printf(&out, "{\"row\":\"%s\",\"variable\":\"%s\",\"compile\":%s,\"expression\":",
                   rows[i].name, rows[i].variable, rows[i].compile ? "true" : "false");
        json_write_string(&out, str_from(rows[i].expression));
        buf_printf(&out, ",\"data\":%s}", data);
        printf("%s\n", buf_str(&out).ptr);
    }
}

int main(int argc, char **argv)
{
    bool json = false;
    int first = 1;
    for (; first < argc && strncmp(argv[first], "--", 2) == 0; first++) {
        json |= strcmp(argv[first], "--json") == 0;
        if (strcmp(argv[first], "--export") == 0) {
            export_rows();
            return 0;
        }
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool wanted = true; // unless rows are named; a folder among the arguments names none
        for (int k = first, named = 0; k < argc; k++) {
            if (strchr(argv[k], '/'))
                continue;
            wanted = (named++ && wanted) || strncmp(rows[i].name, argv[k], strlen(argv[k])) == 0;
        }
        if (wanted)
            run_row(&rows[i], json);
    }
    return 0;
}
