// SPDX-License-Identifier: Apache-2.0
/* The texts that functions read (times, durations, zones, addresses, ARNs, patterns, JSON, base64):
 * each argument is taken or refused, and what was taken prints as something that is taken again. */
#include "cel/cel.h"

#include "base/ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const expressions[] = {
    "timestamp(string(timestamp(s))) == timestamp(s)",
    "duration(string(duration(s))) == duration(s)",
    "timestamp('2026-03-29T01:30:00Z').getHours(s) < 24",
    "ip(string(ip(s))) == ip(s)",
    "cidr(string(cidr(s))) == cidr(s)",
    "cidr(s).masked().containsCIDR(cidr(s)) && cidr(s).containsIP(cidr(s).ip())",
    "arn(s).service != ''",
    "'abc'.matches(s) || true",
    "regex.replace('banana', s, '<\\\\0>') != ''",
    "regex.extractAll(s, '[a-z]+').size() >= 0",
    "json.decode(json.encode(json.decode(s))) == json.decode(s)",
    "base64.encode(base64.decode(s)).size() >= 0",
    "s.format([1, 'a', 2.5, [null], {'k': true}]).size() >= 0",
    "s.reverse().reverse() == s && s.split('').join('') == s",
    "s.glob('*') && s.trim().size() <= s.size()",
    "double(s) == double(s) || true",
    "int(s) == int(string(int(s)))",
    "iam.allowsPublic(s) || true",
    "strings.quote(s).size() >= s.size()",
};
#define EXPRESSIONS (sizeof expressions / sizeof *expressions)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_AUTO struct arena arena = {0};
    struct error_list errors = {.arena = &arena};
    struct error err = {0};
    struct value result, slot;
    if (size == 0 || !str_is_utf8((struct str){(const char *)data + 1, size - 1}))
        return 0;
    const char *text = expressions[data[0] % EXPRESSIONS];
    struct cel_env *env = cel_env_create(&arena, NULL);
    ENSURE(env && cel_env_add_variable(env, STR("s"), cel_type_of(VALUE_STRING), NULL, NULL));
    slot = value_string((struct str){(const char *)data + 1, size - 1});
    const struct cel_program *program =
        cel_compile(env, &arena, str_from(text), cel_type_of(VALUE_BOOL), NULL, &errors);
    ENSURE(program);
    if (cel_eval(program, &slot, NULL, &arena, &result, &err))
        ENSURE(result.kind == VALUE_BOOL && result.b);
    else
        ENSURE(err.code && err.code[0] == 'C' && err.line == 1);
    cel_program_finish(program);
    return 0;
}
