// SPDX-License-Identifier: Apache-2.0
/* conform_aws_flow DIR: paginators.json, waiters.json, waiter-acceptors.json: configurations,
 * answers, and what is to follow from them: the inputs of the calls, the joined result, the
 * outcome.
 *
 * Skipped, because they try what is not the models' but botocore's own: limits on the number of
 * items (PaginationConfig), resume tokens, and the cutting of pages that both need. */
#include "aws/pages.h"
#include "aws/waiter.h"
#include "conform_file.h"

static struct value member(struct value v, const char *name)
{
    const struct value *found = value_get(v, str_from(name));
    return found ? *found : value_null();
}

static void run_paginator(struct value v, struct conform_result *result)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err = {0};
    struct str name = value_path_str(v, "test");
    struct value kwargs = member(v, "kwargs"), calls = member(v, "calls");
    struct value responses = member(v, "responses"), want = member(v, "full_result");
    struct value error = member(v, "error");
    if (value_get(kwargs, STR("PaginationConfig"))) {
        printf("skip %.*s: PaginationConfig is the SDK's own, no part of the models\n",
               STR_FMT(name));
        result->skipped++;
        return;
    }
    struct aws_pager *pager = aws_pager_create(member(v, "config"), &arena, &err);
    bool more = pager != NULL, ok = pager != NULL;
    uint32_t made = 0;
    for (; ok && more && made < responses.len; made++) {
        struct value input = aws_pager_input(pager, kwargs, &arena);
        if (made >= calls.len || !value_equal(input, calls.items[made])) {
            conform_fail(result, name, "another input was made");
            return;
        }
        ok = aws_pager_take(pager, responses.items[made], &arena, &more, &err);
    }
    bool complete = value_equal(member(v, "complete"), value_bool(true));
    if (!ok != (error.kind == VALUE_STRING) || made != calls.len || (complete && more)) {
        conform_fail(result, name, ok ? "another number of calls" : err.message);
        return;
    }
    /* The full result holds the result keys (and a few more); ours the rest of the first page too.
     */
    struct value got = ok ? aws_pager_result(pager) : value_null();
    for (uint32_t i = 0; ok && want.kind == VALUE_MAP && i < want.len; i++) {
        const struct value *v_got = value_get(got, value_str(want.pairs[i].key));
        if (!v_got || !value_equal(*v_got, want.pairs[i].value)) {
            conform_fail(result, name, "another result");
            return;
        }
    }
    result->passed++;
}

static struct aws_waited waited(struct value response)
{
    const struct value *status = value_path(response, "ResponseMetadata.HTTPStatusCode");
    return (struct aws_waited){response, value_path_str(response, "Error.Code"),
                               status && status->kind == VALUE_INT ? (int)status->i : 0};
}

static void run_waiter(struct value v, struct conform_result *result)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct aws_waiter waiter;
    struct value responses = member(v, "responses"), calls = member(v, "calls");
    if (!aws_waiter_read(member(v, "config"), &waiter, &err)) {
        conform_fail(result, value_path_str(v, "test"), err.message);
        return;
    }
    enum aws_wait verdict = AWS_WAIT_AGAIN;
    uint32_t made = 0;
    while (verdict == AWS_WAIT_AGAIN && made < responses.len && made < waiter.attempts_max) {
        struct aws_waited answer = waited(responses.items[made++]);
        verdict = aws_waiter_judge(&waiter, &answer, &arena);
    }
    bool reached = str_is(value_path_str(v, "outcome.state"), "success");
    if (made != calls.len || reached != (verdict == AWS_WAIT_REACHED))
        conform_fail(result, value_path_str(v, "test"), "another outcome");
    else
        result->passed++;
}

static void run_acceptor(struct value v, struct conform_result *result)
{
    struct arena arena ARENA_AUTO = {0};
    struct aws_waited answer = waited(member(v, "response"));
    bool want = value_equal(member(v, "matches"), value_bool(true));
    if (aws_acceptor_matches(member(v, "acceptor"), &answer, &arena) != want)
        conform_fail(result, value_path_str(v, "test"), "the acceptor judges otherwise");
    else
        result->passed++;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *file;
        void (*run)(struct value v, struct conform_result *result);
    } kinds[] = {{"paginators.json", run_paginator},
                 {"waiters.json", run_waiter},
                 {"waiter-acceptors.json", run_acceptor}};
    struct conform_result result = {0};
    for (size_t i = 0; argc > 1 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct arena arena ARENA_AUTO = {0};
        struct value cases;
        const char *path = arena_printf(&arena, "%s/%s", argv[1], kinds[i].file);
        if (!path || !conform_read(&result, path, &arena, &cases))
            continue;
        for (uint32_t k = 0; cases.kind == VALUE_LIST && k < cases.len; k++)
            kinds[i].run(cases.items[k], &result);
    }
    return conform_end(&result);
}
