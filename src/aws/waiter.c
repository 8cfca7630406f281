// SPDX-License-Identifier: Apache-2.0
/* Waiters: acceptors in order, the first that takes the answer decides. */
#include "aws/waiter.h"

#include "aws/aws_internal.h"
#include "aws/jmespath.h"

bool aws_waiter_read(struct value document, struct aws_waiter *ret, struct error *err)
{
    const struct value *delay = value_get(document, STR("delay"));
    const struct value *attempts = value_get(document, STR("maxAttempts"));
    const struct value *acceptors = value_get(document, STR("acceptors"));
    struct str operation = value_path_str(document, "operation");
    if (!operation.len || !delay || delay->kind != VALUE_INT || !attempts ||
        attempts->kind != VALUE_INT || !acceptors || acceptors->kind != VALUE_LIST)
        return error_set(err, "A0329", "the waiter of the model is malformed");
    *ret = (struct aws_waiter){operation, delay->i, attempts->i, *acceptors};
    return true;
}

/* The waiters of the operation's service that ask it; `*at` goes over them. */
static bool next_waiter(const struct aws_operation *operation, uint32_t *at, struct str *ret_name,
                        struct value *ret)
{
    struct value waiters = operation->service->waiters;
    for (; waiters.kind == VALUE_MAP && *at < waiters.len; ++*at) {
        const struct value_pair *pair = &waiters.pairs[*at];
        if (!str_eq(value_path_str(pair->value, "operation"), operation->name))
            continue;
        *ret_name = value_str(pair->key);
        *ret = pair->value;
        ++*at;
        return true;
    }
    return false;
}

bool aws_waiter_find(const struct aws_operation *operation, struct str name, struct aws_waiter *ret,
                     struct error *err)
{
    struct str best = {0}, known;
    struct value document;
    unsigned best_distance = 2 + (unsigned)name.len / 4;
    for (uint32_t at = 0; next_waiter(operation, &at, &known, &document);) {
        if (str_eq(known, name))
            return aws_waiter_read(document, ret, err);
        unsigned distance =
            str_eq_nocase(name, known) ? 0 : str_distance(name, known, best_distance);
        if (distance < best_distance) {
            best = known;
            best_distance = distance;
        }
    }
    error_set(err, "A0329", "%.*s:%.*s has no waiter `%.*s`", STR_FMT(operation->service->name),
              STR_FMT(operation->name), STR_FMT(name));
    return best.len ? error_hint(err, "did you mean `%.*s`?", STR_FMT(best)) : false;
}

bool aws_waiter_list(const struct aws_operation *operation, struct arena *arena, struct str **ret,
                     size_t *ret_count)
{
    struct value waiters = operation->service->waiters, document;
    struct str *names = ARENA_ARRAY(arena, struct str, waiters.len);
    if (!names)
        return false;
    size_t count = 0;
    for (uint32_t at = 0; next_waiter(operation, &at, &names[count], &document);)
        count++;
    *ret = names;
    *ret_count = count;
    return true;
}

static bool all_equal(struct value list, struct value want)
{
    for (uint32_t i = 0; list.kind == VALUE_LIST && i < list.len; i++) {
        if (!value_equal(list.items[i], want))
            return false;
    }
    return list.kind == VALUE_LIST && list.len > 0;
}

static bool any_equal(struct value list, struct value want)
{
    for (uint32_t i = 0; list.kind == VALUE_LIST && i < list.len; i++) {
        if (value_equal(list.items[i], want))
            return true;
    }
    return false;
}

static bool error_matches(struct str error, struct value want)
{
    if (want.kind == VALUE_BOOL)
        return want.b == (error.len > 0);
    return error.len > 0 && str_eq(error, value_str(want));
}

bool aws_acceptor_matches(struct value acceptor, const struct aws_waited *answer,
                          struct arena *arena)
{
    struct str matcher = value_path_str(acceptor, "matcher");
    const struct value *expected = value_get(acceptor, STR("expected"));
    struct value want = expected ? *expected : value_null(), found;
    if (str_is(matcher, "status"))
        return want.kind == VALUE_INT && want.i == answer->status;
    if (str_is(matcher, "error"))
        return error_matches(answer->error, want);
    /* Paths look at outputs; an error's answer has none. */
    if (answer->error.len || !aws_jmespath_search(value_path_str(acceptor, "argument"),
                                                  answer->output, arena, &found, NULL))
        return false;
    if (str_is(matcher, "path"))
        return value_equal(found, want);
    if (str_is(matcher, "pathAll"))
        return all_equal(found, want);
    return str_is(matcher, "pathAny") && any_equal(found, want);
}

enum aws_wait aws_waiter_judge(const struct aws_waiter *waiter, const struct aws_waited *answer,
                               struct arena *arena)
{
    for (uint32_t i = 0; i < waiter->acceptors.len; i++) {
        struct value acceptor = waiter->acceptors.items[i];
        if (!aws_acceptor_matches(acceptor, answer, arena))
            continue;
        struct str state = value_path_str(acceptor, "state");
        return str_is(state, "success")   ? AWS_WAIT_REACHED
               : str_is(state, "failure") ? AWS_WAIT_FAILED
                                          : AWS_WAIT_AGAIN;
    }
    return answer->error.len ? AWS_WAIT_ERROR : AWS_WAIT_AGAIN;
}
