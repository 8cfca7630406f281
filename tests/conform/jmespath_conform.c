// SPDX-License-Identifier: Apache-2.0
/* conform_jmespath FILE...: the compliance suite's form: [{given, cases: [{expression, result |
 * error}]}]. */
#include "aws/jmespath.h"
#include "conform_file.h"

static const struct {
    const char *name, *code;
} errors[] = {{"syntax", "A0330"},
              {"invalid-type", "A0331"},
              {"invalid-arity", "A0332"},
              {"unknown-function", "A0333"},
              {"invalid-value", "A0334"}};

static bool error_fits(struct str name, const char *code)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (str_is(name, errors[i].name))
            return strcmp(code, errors[i].code) == 0;
    }
    return str_is(name, "runtime") && strcmp(code, "A0330") != 0;
}

static bool run_case(struct value given, struct value v, struct conform_result *result)
{
    struct arena arena ARENA_AUTO = {0};
    struct str expression = value_path_str(v, "expression");
    const struct value *want = value_get(v, STR("result")), *error = value_get(v, STR("error"));
    struct value got = value_null();
    struct error err;
    bool ok = aws_jmespath_search(expression, given, &arena, &got, &err);
    if (error) {
        if (ok || !error_fits(value_str(*error), err.code))
            return conform_fail_text(result, expression, value_str(*error),
                                     ok ? STR("no error") : str_from(err.message));
    } else if (want && (!ok || !value_equal(got, *want))) {
        struct buf wanted = {.arena = &arena}, was = {.arena = &arena};
        json_write(&wanted, *want, JSON_CANONICAL);
        json_write(&was, got, JSON_CANONICAL);
        return conform_fail_text(result, expression, buf_str(&wanted),
                                 ok ? buf_str(&was) : str_from(err.message));
    } else if (!ok) {
        return conform_fail(result, expression, err.message);
    }
    result->passed++;
    return true;
}

int main(int argc, char **argv)
{
    struct conform_result result = {0};
    for (int i = 1; i < argc; i++) {
        struct arena arena ARENA_AUTO = {0};
        struct value suites;
        if (!conform_read(&result, argv[i], &arena, &suites))
            continue;
        for (uint32_t s = 0; suites.kind == VALUE_LIST && s < suites.len; s++) {
            const struct value *given = value_get(suites.items[s], STR("given"));
            const struct value *cases = value_get(suites.items[s], STR("cases"));
            for (uint32_t c = 0; cases && c < cases->len; c++)
                run_case(given ? *given : value_null(), cases->items[c], &result);
        }
    }
    return conform_end(&result);
}
