// SPDX-License-Identifier: Apache-2.0
/* Every case of every policies/.../<policy>.test.yaml: event in, the stubbed calls in their order,
 * expected end. What the engine does between the stages is done here in one straight line. */
#include "detect/detect.h"
#include "fixture.h"

#include "act/act.h"
#include "decide/decide.h"
#include "policy/yaml_internal.h"
#include "base/limits.h"
#include "value/json.h"
#include "verify/verify.h"

#include <stdio.h>

#include "../cmocka_all.h"

struct run {
    struct value event; // what is kept of it
    struct arena *arena;
    const char *name; // of the case, for messages
    struct value calls;
    uint32_t next; // of calls
    struct decide_subject subject;
    struct decide_finding finding;
    struct policy_assignment assignment;
};

/* Everything in `want` is in `have`; other members of maps do not matter. */
static bool covers(struct value have, struct value want)
{
    if (want.kind == VALUE_MAP) {
        for (uint32_t i = 0; i < want.len; i++) {
            const struct value *v = value_get_key(have, want.pairs[i].key);
            if (!v || !covers(*v, want.pairs[i].value))
                return false;
        }
        return have.kind == VALUE_MAP;
    }
    if (want.kind == VALUE_LIST) {
        bool same = have.kind == VALUE_LIST && have.len == want.len;
        for (uint32_t i = 0; same && i < want.len; i++)
            same = covers(have.items[i], want.items[i]);
        return same;
    }
    return value_equal(have, want);
}

static const char *text_of(struct run *run, struct value v)
{
    struct buf out = {.arena = run->arena};
    json_write(&out, v, JSON_COMPACT);
    return buf_str(&out).ptr;
}

static void answer_call(void *ctx, const struct aws_call *call, struct arena *arena,
                        struct aws_answer *ret)
{
    struct run *run = ctx;
    (void)arena;
    const char *name =
        arena_printf(run->arena, "%.*s:%.*s", STR_FMT(aws_operation_service(call->operation)),
                     STR_FMT(aws_operation_name(call->operation)));
    if (run->next >= run->calls.len)
        fail_msg("%s: one call too many: %s %s", run->name, name, text_of(run, call->input));
    struct value want = run->calls.items[run->next++];
    const struct value *with = value_get(want, STR("with")),
                       *answer = value_get(want, STR("answer"));
    if (!str_is(value_path_str(want, "call"), name) || (with && !covers(call->input, *with)))
        fail_msg("%s: call %u is %s %s, wanted %s", run->name, run->next, name,
                 text_of(run, call->input), text_of(run, want));
    *ret = (struct aws_answer){.outcome = answer ? AWS_OK : AWS_REFUSED,
                               .output = answer ? *answer : value_null(),
                               .code = value_path_str(want, "error"),
                               .message = STR("stubbed")};
}

/* Performs a plan. False: a call failed and its effect is not there. */
static bool perform(struct run *run, struct value plan, bool test_done)
{
    struct act_gate gate = {NULL, clock_system(), INT64_MAX, NULL, NULL};
    for (uint32_t i = 0; i < plan.len; i++) {
        struct act_request request = {fixture_models(),  run->subject.caller,
                                      plan.items[i],     run->subject.resource.account,
                                      {.role = STR("")}, &gate};
        struct aws_answer answer;
        struct error err;
        bool done = false;
        act_call(&request, run->arena, &answer);
        if (answer.outcome == AWS_OK)
            continue;
        if (!test_done)
            return false;
        decide_read(&run->subject, run->arena, &run->finding);
        if (!decide_step_done(&run->subject, &run->finding, plan.items[i], run->arena, &done, &err))
            fail_msg("%s: done: %s", run->name, err.message);
        if (!done)
            return false;
    }
    return true;
}

static const char *roll_back(struct run *run, struct value plan, struct value before,
                             struct value after)
{
    struct error err;
    struct value inverse;
    decide_read(&run->subject, run->arena, &run->finding);
    if (!decide_undo(&run->subject, &run->finding, plan, plan.len, before, after, clock_system(),
                     run->arena, &inverse, &err))
        fail_msg("%s: undo: %s", run->name, err.message);
    return perform(run, inverse, false) ? "rolled back" : "needs person";
}

static const char *repair(struct run *run, bool approved, bool rollback)
{
    struct decide_guards guards = {.by_hand = approved};
    struct decide_decision decision;
    struct value plan, before = run->finding.reads;
    struct error err;
    char fingerprint[65];
    memcpy(fingerprint, run->finding.fingerprint, sizeof fingerprint);
    if (!decide_plan(&run->subject, &run->finding, clock_system(), run->arena, &plan, &err))
        fail_msg("%s: plan: %s", run->name, err.message);
    decide_guard(&run->subject, &run->finding, plan, &guards, run->arena, &decision, NULL);
    if (decision.action == DECIDE_SKIP)
        return "skipped";
    if (decision.action == DECIDE_ASK)
        return "asking";
    assert_int_equal(decision.action, DECIDE_ACT);
    if (!perform(run, plan, true))
        return "needs person";
    if (run->next < run->calls.len) // not read already to test `done`
        decide_read(&run->subject, run->arena, &run->finding);
    enum verify_result result = verify_compare(
        run->finding.verdict, str_from(run->finding.fingerprint), str_from(fingerprint));
    if (result != VERIFY_HELD)
        return verify_result_name(result);
    if (rollback)
        return roll_back(run, plan, before, run->finding.reads);
    /* Doing it twice changes nothing: what was just read back asks for no call. */
    return "healed";
}

static const char *process(struct run *run, const struct detect_match *match, struct value test)
{
    const struct value *approve = value_get(test, STR("approve")),
                       *back = value_get(test, STR("rollback"));
    run->assignment = match->assignment;
    run->subject = (struct decide_subject){.policy = match->policy,
                                           .assignment = &run->assignment,
                                           .region = match->region,
                                           .now_ms = 1767607200000,
                                           .caller = {answer_call, run}};
    assert_true(resource_parse(match->resource, &run->subject.resource));
    struct str by[8] = {{0}}; // the event is all that is known of who set the tags
    assert_true(match->policy->exemption_count <= 8);
    for (size_t i = 0; i < match->policy->exemption_count; i++)
        by[i] = value_path_str(run->event, "actor");
    run->subject.tagged_by = by;
    decide_read(&run->subject, run->arena, &run->finding);
    switch (run->finding.verdict) {
    case VERDICT_COMPLIANT:
        return "compliant";
    case VERDICT_GONE:
        return "gone";
    case VERDICT_UNREAD:
        if (run->finding.code.len && run->finding.code.ptr[0] == 'C')
            fail_msg("%s: %.*s", run->name, STR_FMT(run->finding.reason));
        return "unread";
    case VERDICT_VIOLATION:
        break;
    }
    return repair(run, approve && approve->b, back && back->b);
}

static void run_case(const struct detector *detector, struct str policy, struct value test,
                     struct arena *arena)
{
    const struct value *calls = value_get(test, STR("calls")),
                       *event = value_get(test, STR("event"));
    struct run run = {.arena = arena,
                      .calls = calls ? *calls : value_list(NULL, 0),
                      .name = str_copy(arena, value_path_str(test, "name")).ptr};
    struct detect_scratch *scratch = detect_scratch_create(detector);
    struct detect_result result;
    struct error err;
    const char *state = "";
    struct str want = value_path_str(test, "expect.resource");
    assert_non_null(event);
    if (!detect_event(detector, scratch, str_from(text_of(&run, *event)), NULL, 0, arena, &result,
                      &err))
        fail_msg("%s: %s", run.name, err.message);
    if (result.note_count)
        fail_msg("%s: %.*s", run.name, STR_FMT(result.notes[0]));
    assert_int_equal(result.match_count, str_is(want, "none") ? 0 : 1);
    if (result.match_count) {
        assert_true(str_eq(result.matches[0].policy->name, policy));
        run.event = result.event;
        state = process(&run, &result.matches[0], test);
        if (!str_eq(run.subject.resource.id, want))
            fail_msg("%s: resource %.*s", run.name, STR_FMT(run.subject.resource.id));
    }
    if (!str_is(value_path_str(test, "expect.state"), state))
        fail_msg("%s: ends %s", run.name, state);
    if (run.next != run.calls.len)
        fail_msg("%s: %u of %u calls were made", run.name, run.next, run.calls.len);
    detect_scratch_destroy(scratch);
}

static struct value read_cases(const struct policy *policy, struct arena *arena)
{
    char path[4096];
    struct error_list errors = {.arena = arena};
    struct value cases;
    snprintf(path, sizeof path, "%.*s.test.yaml", (int)policy->file.len - 5, policy->file.ptr);
    FILE *file = fopen(path, "rbe");
    if (!file)
        fail_msg("%s is not there", path);
    char *text = arena_alloc(arena, LIMIT_POLICY_FILE_BYTES);
    assert_non_null(text);
    size_t len = fread(text, 1, LIMIT_POLICY_FILE_BYTES, file);
    fclose(file);
    struct yaml_file *source = ARENA_NEW(arena, struct yaml_file);
    assert_non_null(source);
    *source = (struct yaml_file){str_copy(arena, str_from(path)), {text, len}, &errors, arena};
    struct yaml *root = yaml_read(source);
    if (!root)
        fail_msg("%s", fixture_errors(arena, &errors));
    assert_true(str_eq(yaml_get(root, "policy")->text, policy->name));
    assert_true(yaml_value(yaml_get(root, "cases"), &cases));
    assert_true(cases.kind == VALUE_LIST && cases.len > 0);
    return cases;
}

static void test_cases__every_policy_does_what_its_file_says(void **state)
{
    (void)state;
    struct policy_set *set =
        fixture_library("assignments: [{policies: \"*\", accounts: \"*\", mode: enforce}]\n");
    struct error err;
    struct detector *detector = detector_create(set, &err);
    if (!detector)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < policy_set_count(set); i++) {
        struct arena arena ARENA_AUTO = {0};
        const struct policy *policy = policy_set_at(set, i);
        struct value cases = read_cases(policy, &arena);
        for (uint32_t k = 0; k < cases.len; k++)
            run_case(detector, policy->name, cases.items[k], &arena);
    }
    detector_destroy(detector);
    policy_set_destroy(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases__every_policy_does_what_its_file_says),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_finish();
    return failed;
}
