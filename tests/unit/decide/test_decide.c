// SPDX-License-Identifier: Apache-2.0
/* Reading and the verdict, the plan, its hash, and the way back. */
#include "decide_fixture.h"

#include "base/limits.h"

#include <stdio.h>

#include "../cmocka_all.h"

#define OWNED "{\"TagSet\":[{\"Key\":\"owner\",\"Value\":\"me\"}]}"
#define OTHER "{\"TagSet\":[{\"Key\":\"team\",\"Value\":\"x\"}]}"
#define NONE "{\"TagSet\":[]}"

static void test_decide__the_verdict_is_the_expressions(void **state)
{
    (void)state;
    struct scene s;
    scene_start(&s, NULL, NULL);
    assert_int_equal(scene_read(&s, OWNED), VERDICT_COMPLIANT);
    assert_int_equal(scene_read(&s, OTHER), VERDICT_VIOLATION);
    assert_true(str_is(s.finding.message, "bucket logs has no owner"));
    assert_int_equal(s.calls, 1);
    scene_finish(&s);
}

static void test_decide__a_read_names_the_account_the_role_and_the_owner(void **state)
{
    (void)state;
    struct scene s;
    scene_start(&s, NULL, NULL);
    scene_read(&s, OWNED);
    assert_true(str_is(s.last.account, "111122223333"));
    assert_true(str_is(s.last.access.role, "reader"));
    assert_true(str_is(s.last.region, "eu-west-1"));
    assert_string_equal(scene_text(&s, s.last.input),
                        "{\"Bucket\":\"logs\",\"ExpectedBucketOwner\":\"111122223333\"}");
    scene_finish(&s);
}

static void test_decide__only_a_refusal_with_the_declared_code_is_absent_or_gone(void **state)
{
    (void)state;
    struct scene s;
    static const enum aws_outcome others[] = {AWS_THROTTLED, AWS_FAILED, AWS_UNKNOWN, AWS_NOT_SENT};
    scene_start(&s, NULL, NULL);
    scene_fail(&s, 0, AWS_REFUSED, "NoSuchTagSet");
    assert_int_equal(scene_read(&s, NULL), VERDICT_VIOLATION);
    assert_string_equal(scene_text(&s, s.finding.reads), "{\"tagging\":{\"TagSet\":[]}}");
    scene_fail(&s, 0, AWS_REFUSED, "NoSuchBucket");
    assert_int_equal(scene_read(&s, NULL), VERDICT_GONE);
    for (size_t i = 0; i < 4; i++) {
        scene_fail(&s, 0, others[i], "NoSuchTagSet");
        assert_int_equal(scene_read(&s, NULL), VERDICT_UNREAD);
        scene_fail(&s, 0, others[i], "NoSuchBucket");
        assert_int_equal(scene_read(&s, NULL), VERDICT_UNREAD);
    }
    scene_finish(&s);
}

static void test_decide__every_other_failure_is_unread(void **state)
{
    (void)state;
    struct scene s;
    scene_start(&s, NULL, NULL);
    scene_fail(&s, 0, AWS_REFUSED, "AccessDenied");
    assert_int_equal(scene_read(&s, NULL), VERDICT_UNREAD);
    assert_true(s.finding.lasting);
    assert_true(str_is(s.finding.code, "AccessDenied"));
    assert_true(str_is(s.finding.reason, "s3:GetBucketTagging: AccessDenied: said so"));
    scene_fail(&s, 0, AWS_THROTTLED, "SlowDown");
    s.answers[0].retry_after_ms = 7000;
    assert_int_equal(scene_read(&s, NULL), VERDICT_UNREAD);
    assert_false(s.finding.lasting);
    assert_int_equal(s.finding.retry_after_ms, 7000);
    scene_fail(&s, 0, AWS_FAILED, "InternalError");
    assert_int_equal(scene_read(&s, NULL), VERDICT_UNREAD);
    assert_false(s.finding.lasting);
    scene_fail(&s, 0, AWS_NOT_SENT, "A0301");
    assert_int_equal(scene_read(&s, NULL), VERDICT_UNREAD);
    assert_false(s.finding.lasting);
    scene_finish(&s);
}

static void test_decide__a_failing_expression_is_neither_true_nor_false(void **state)
{
    (void)state;
    struct scene s;
    scene_start(&s, "!tagging.TagSet.exists(t, t.Key == 'owner')",
                "tagging.TagSet[0].Key != 'owner'");
    assert_int_equal(scene_read(&s, NONE), VERDICT_UNREAD);
    assert_true(s.finding.lasting);
    assert_true(str_starts(s.finding.code, STR("C")));
    assert_int_equal(scene_read(&s, "{}"),
                     VERDICT_UNREAD); // a member that the answer does not have
    assert_int_equal(scene_read(&s, OTHER), VERDICT_VIOLATION);
    scene_finish(&s);
}

static void test_decide__a_failing_message_does_not_change_the_verdict(void **state)
{
    (void)state;
    struct scene s;
    scene_start(&s, "${\"bucket \" + resource.id + \" has no owner\"}", "${tagging.TagSet[5].Key}");
    assert_int_equal(scene_read(&s, OTHER), VERDICT_VIOLATION);
    assert_non_null(strstr(s.finding.message.ptr, "Buckets carry a tag (its message failed"));
    scene_finish(&s);
    scene_start(&s, "${\"bucket \" + resource.id + \" has no owner\"}", "${size(tagging.TagSet)}");
    assert_int_equal(scene_read(&s, OTHER), VERDICT_VIOLATION);
    assert_non_null(strstr(s.finding.message.ptr, "Buckets carry a tag"));
    scene_finish(&s);
}

static void fingerprint_of(struct scene *s, const char *json, char ret[65])
{
    scene_read(s, json);
    memcpy(ret, s->finding.fingerprint, 65);
}

static void test_decide__the_fingerprint_is_the_content_whatever_its_order(void **state)
{
    (void)state;
    struct scene s;
    char a[65], b[65];
    scene_start(&s, NULL, NULL);
    fingerprint_of(
        &s, "{\"TagSet\":[{\"Key\":\"a\",\"Value\":\"1\"},{\"Key\":\"b\",\"Value\":\"2\"}]}", a);
    fingerprint_of(
        &s, "{\"TagSet\":[{\"Value\":\"2\",\"Key\":\"b\"},{\"Key\":\"a\",\"Value\":\"1\"}]}", b);
    assert_string_equal(a, b);
    fingerprint_of(
        &s, "{\"TagSet\":[{\"Key\":\"a\",\"Value\":\"2\"},{\"Key\":\"b\",\"Value\":\"1\"}]}", b);
    assert_string_not_equal(a, b);
    fingerprint_of(&s, "{\"TagSet\":[{\"Key\":\"a\",\"Value\":\"1\"}]}", b);
    assert_string_not_equal(a, b);
    fingerprint_of(&s, "{\"TagSet\":[{\"Key\":\"a\",\"Value\":9007199254740993}]}", a);
    fingerprint_of(&s, "{\"TagSet\":[{\"Key\":\"a\",\"Value\":9007199254740992}]}", b);
    assert_string_not_equal(a, b);
    fingerprint_of(&s, "{\"TagSet\":[]}", a);
    fingerprint_of(&s, "{}", b);
    assert_string_not_equal(a, b);
    s.subject.resource.id = STR("other");
    fingerprint_of(&s, "{\"TagSet\":[]}", b);
    assert_string_not_equal(a, b);
    scene_finish(&s);
}

static void test_decide__each_of_what_is_no_list_is_unread(void **state)
{
    (void)state;
    static const char *const each[] = {"dyn({'a': 1})", "dyn(null)", "dyn('x')"};
    for (size_t i = 0; i < 3; i++) {
        struct scene s;
        char to[400];
        snprintf(to, sizeof to,
                 "    all:\n      each: \"%s\"\n      as: tag\n      call: s3:GetBucketVersioning\n"
                 "      with: {Bucket: \"${string(tag)}\"}\n  violation: size(all) > 0",
                 each[i]);
        scene_start(&s, "  violation: \"!tagging.TagSet.exists(t, t.Key == 'owner')\"", to);
        assert_int_equal(scene_read(&s, OTHER), VERDICT_UNREAD);
        assert_true(s.finding.lasting);
        scene_finish(&s);
    }
}

static void test_decide__the_fingerprint_covers_only_what_is_used(void **state)
{
    (void)state;
    struct scene s;
    char a[65], b[65];
    scene_start(&s, NULL, NULL);
    assert_int_equal(s.subject.policy->used_count, 1);
    fingerprint_of(&s, "{\"TagSet\":[],\"Counter\":1}", a);
    fingerprint_of(&s, "{\"TagSet\":[],\"Counter\":2}", b);
    assert_string_equal(a, b);
    scene_finish(&s);
}

static void test_decide__times_are_no_part_of_the_fingerprint(void **state)
{
    (void)state;
    struct scene s;
    char a[65], b[65];
    scene_start(&s, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        struct value_builder out = {.arena = &s.arena}, list = {.arena = &s.arena},
                             tag = {.arena = &s.arena};
        value_set(&tag, "Key", value_cstr("a"));
        value_set(&tag, "At", (struct value){.kind = VALUE_TIMESTAMP, .i = i});
        value_push(&list, value_finish_map(&tag));
        value_set(&out, "TagSet", value_finish_list(&list));
        s.answers[0] = (struct aws_answer){.outcome = AWS_OK, .output = value_finish_map(&out)};
        fingerprint_of(&s, NULL, i ? a : b);
    }
    assert_string_equal(a, b);
    scene_finish(&s);
}

static void test_decide__reads_and_lets_order_themselves(void **state)
{
    (void)state;
    struct scene s;
    scene_start(
        &s, "  violation: \"!tagging.TagSet.exists(t, t.Key == 'owner')\"",
        "    first:\n      call: s3:GetBucketVersioning\n      with: {Bucket: \"${name}\"}\n"
        "  let:\n    none: size(owners) == 0\n    owners: tagging.TagSet.filter(t, t.Key == "
        "'owner')\n"
        "    name: \"size(owners) == 0 ? 'b-' + tagging.TagSet[0].Value : 'x'\"\n"
        "  violation: none && first.Status == 'Enabled'");
    scene_answer(&s, 0, OTHER);
    scene_answer(&s, 1, "{\"Status\":\"Enabled\"}");
    assert_int_equal(scene_read(&s, NULL), VERDICT_VIOLATION);
    assert_int_equal(s.calls, 2);
    assert_true(str_is(value_path_str(s.last.input, "Bucket"), "b-x"));
    scene_finish(&s);
}

static void test_decide__a_read_with_each_is_a_list_and_one_failure_fails_it(void **state)
{
    (void)state;
    struct scene s;
    scene_start(
        &s, "  violation: \"!tagging.TagSet.exists(t, t.Key == 'owner')\"",
        "    all:\n      each: tagging.TagSet\n      as: tag\n      call: s3:GetBucketVersioning\n"
        "      with: {Bucket: \"${tag.Value}\"}\n  violation: size(all) > 1 && all[1].Status == "
        "'Enabled'");
    scene_answer(
        &s, 0,
        "{\"TagSet\":[{\"Key\":\"a\",\"Value\":\"one\"},{\"Key\":\"b\",\"Value\":\"two\"}]}");
    scene_answer(&s, 1, "{\"Status\":\"Suspended\"}");
    scene_answer(&s, 2, "{\"Status\":\"Enabled\"}");
    assert_int_equal(scene_read(&s, NULL), VERDICT_VIOLATION);
    assert_int_equal(s.calls, 3);
    assert_true(str_is(value_path_str(s.last.input, "Bucket"), "two"));
    scene_fail(&s, 2, AWS_FAILED, "InternalError");
    assert_int_equal(scene_read(&s, NULL), VERDICT_UNREAD);
    scene_answer(&s, 0, NONE);
    assert_int_equal(scene_read(&s, NULL), VERDICT_COMPLIANT);
    assert_int_equal(s.calls, 1);
    scene_finish(&s);
}

/* ---- plans ---- */

static struct value plan_of(struct scene *s)
{
    struct value plan;
    if (!decide_plan(&s->subject, &s->finding, clock_system(), &s->arena, &plan, &s->err))
        fail_msg("%s", s->err.message);
    return plan;
}

static void test_decide__the_plan_is_the_exact_calls(void **state)
{
    (void)state;
    struct scene s;
    scene_start(&s, NULL, NULL);
    scene_read(&s, OTHER);
    assert_string_equal(
        scene_text(&s, plan_of(&s)),
        "[{\"call\":\"s3:PutBucketTagging\",\"with\":{\"Bucket\":\"logs\",\"Tagging\":{\"TagSet\":["
        "{\"Key\":\"team\",\"Value\":\"x\"},{\"Key\":\"owner\",\"Value\":\"unassigned\"}]},"
        "\"ExpectedBucketOwner\":\"111122223333\"},\"region\":\"eu-west-1\",\"step\":0}]");
    scene_finish(&s);
}

static void hash_of(struct scene *s, char ret[65])
{
    decide_plan_hash(&s->subject, plan_of(s), s->finding.fingerprint, &s->arena, ret);
}

static void test_decide__an_approval_is_for_this_plan_and_no_other(void **state)
{
    (void)state;
    struct scene s;
    char a[65], b[65];
    scene_start(&s, NULL, NULL);
    scene_read(&s, OTHER);
    hash_of(&s, a);
    hash_of(&s, b);
    assert_string_equal(a, b);
    scene_read(&s, NONE); // another state
    hash_of(&s, b);
    assert_string_not_equal(a, b);
    scene_read(&s, OTHER);
    s.assignment.params = scene_json(&s, "{\"value\":\"shared\"}"); // another parameter
    hash_of(&s, b);
    assert_string_not_equal(a, b);
    s.assignment.params = s.subject.policy->params;
    s.subject.resource.account = STR("444455556666"); // another account
    hash_of(&s, b);
    assert_string_not_equal(a, b);
    s.subject.resource.account = STR("111122223333");
    s.subject.region = STR("eu-west-2"); // another region
    hash_of(&s, b);
    assert_string_not_equal(a, b);
    scene_finish(&s);
}

static void test_decide__tokens_are_fresh_and_no_part_of_the_hash(void **state)
{
    (void)state;
    struct scene s;
    char a[65], b[65];
    scene_start(
        &s,
        "  - call: s3:PutBucketTagging\n    with:\n      Bucket: ${resource.id}\n      Tagging: "
        "{TagSet: \"${tagging.TagSet + [{'Key': 'owner', 'Value': params.value}]}\"}",
        "  - call: ec2:CreateVolume\n    with: {AvailabilityZone: eu-west-1a, Size: 1}");
    scene_read(&s, OTHER);
    struct value one = plan_of(&s), two = plan_of(&s);
    struct str first = value_path_str(one, "0.with.ClientToken"),
               second = value_path_str(two, "0.with.ClientToken");
    assert_int_equal(first.len, 36);
    assert_false(str_eq(first, second));
    decide_plan_hash(&s.subject, one, s.finding.fingerprint, &s.arena, a);
    decide_plan_hash(&s.subject, two, s.finding.fingerprint, &s.arena, b);
    assert_string_equal(a, b);
    scene_finish(&s);
}

static const char each_step[] =
    "  - each: tagging.TagSet\n    as: tag\n    call: s3:PutBucketTagging\n"
    "    with: {Bucket: \"${tag.Key}\", Tagging: {TagSet: \"${[tag]}\"}}\n    done: tag.Value == "
    "'done'";
static const char one_step[] =
    "  - call: s3:PutBucketTagging\n    with:\n      Bucket: ${resource.id}\n"
    "      Tagging: {TagSet: \"${tagging.TagSet + [{'Key': 'owner', 'Value': params.value}]}\"}";

static const char *many_tags(struct scene *s, unsigned count)
{
    struct buf out = {.arena = &s->arena};
    buf_add_cstr(&out, "{\"TagSet\":[");
    for (unsigned i = 0; i < count; i++)
        buf_printf(&out, "%s{\"Key\":\"bucket-%u\",\"Value\":\"v\"}", i ? "," : "", i);
    buf_add_cstr(&out, "]}");
    return buf_str(&out).ptr;
}

static void test_decide__a_step_with_each_is_one_call_an_item_up_to_the_limit(void **state)
{
    (void)state;
    struct scene s;
    struct value plan = value_null();
    scene_start(&s, one_step, each_step);
    scene_read(&s, many_tags(&s, LIMIT_STEPS));
    plan = plan_of(&s);
    assert_int_equal(plan.len, LIMIT_STEPS);
    assert_true(str_is(value_path_str(plan, "63.with.Bucket"), "bucket-63"));
    assert_true(str_is(value_path_str(plan, "63.item.Key"), "bucket-63"));
    scene_read(&s, many_tags(&s, LIMIT_STEPS + 1));
    assert_false(decide_plan(&s.subject, &s.finding, clock_system(), &s.arena, &plan, &s.err));
    assert_string_equal(s.err.code, "D0003");
    assert_int_equal(plan.len, LIMIT_STEPS); // untouched
    scene_finish(&s);
}

static void test_decide__a_plan_that_the_model_refuses_is_an_error(void **state)
{
    (void)state;
    struct scene s;
    struct value plan;
    scene_start(
        &s, "Tagging: {TagSet: \"${tagging.TagSet + [{'Key': 'owner', 'Value': params.value}]}\"}",
        "Tagging: {TagSet: \"${tagging.TagSet.map(t, {'Kee': t.Key})}\"}");
    scene_read(&s, OTHER);
    assert_false(decide_plan(&s.subject, &s.finding, clock_system(), &s.arena, &plan, &s.err));
    assert_non_null(strstr(s.err.message, "s3:PutBucketTagging"));
    assert_non_null(strstr(s.err.message, "Kee"));
    scene_finish(&s);
}

static void test_decide__a_step_is_done_by_its_own_test_or_when_the_policy_is_obeyed(void **state)
{
    (void)state;
    struct scene s;
    bool done;
    scene_start(&s, NULL, NULL);
    scene_read(&s, OTHER);
    struct value plan = plan_of(&s);
    assert_true(decide_step_done(&s.subject, &s.finding, plan.items[0], &s.arena, &done, &s.err));
    assert_false(done);
    scene_read(&s, OWNED);
    assert_true(decide_step_done(&s.subject, &s.finding, plan.items[0], &s.arena, &done, &s.err));
    assert_true(done);
    scene_finish(&s);
    scene_start(&s, one_step, each_step);
    scene_read(
        &s, "{\"TagSet\":[{\"Key\":\"a\",\"Value\":\"done\"},{\"Key\":\"b\",\"Value\":\"open\"}]}");
    plan = plan_of(&s);
    assert_true(decide_step_done(&s.subject, &s.finding, plan.items[0], &s.arena, &done, &s.err));
    assert_true(done); // its item, not the resource
    assert_true(decide_step_done(&s.subject, &s.finding, plan.items[1], &s.arena, &done, &s.err));
    assert_false(done);
    struct value foreign = scene_json(&s, "{\"call\":\"s3:PutBucketTagging\",\"step\":7}");
    assert_false(decide_step_done(&s.subject, &s.finding, foreign, &s.arena, &done, &s.err));
    assert_string_equal(s.err.code, "D0004");
    scene_finish(&s);
}

/* ---- undo ---- */

static struct value undo_of(struct scene *s, struct value plan, size_t done, const char *current)
{
    struct value inverse, before = scene_json(s, "{\"tagging\":" OTHER "}");
    scene_read(s, current);
    if (!decide_undo(&s->subject, &s->finding, plan, done, before, before, clock_system(),
                     &s->arena, &inverse, &s->err))
        fail_msg("%s", s->err.message);
    return inverse;
}

static void test_decide__undo_is_made_from_what_is_there_now(void **state)
{
    (void)state;
    struct scene s;
    scene_start(&s, NULL, NULL);
    scene_read(&s, NONE);
    struct value plan = plan_of(&s);
    struct value inverse = undo_of(&s, plan, 1, OWNED);
    assert_int_equal(inverse.len, 1);
    assert_true(str_is(value_path_str(inverse, "0.call"), "s3:DeleteBucketTagging"));
    assert_int_equal(undo_of(&s, plan, 1, NONE).len,
                     0); // `when` does not hold: nothing to take back
    assert_int_equal(undo_of(&s, plan, 0, OWNED).len, 0); // nothing was done
    scene_finish(&s);
}

static void test_decide__undo_goes_back_last_first_and_sees_each_item(void **state)
{
    (void)state;
    struct scene s;
    char step[600];
    snprintf(step, sizeof step,
             "%s\n    undo:\n      - call: s3:DeleteBucketTagging\n        with: {Bucket: "
             "\"${tag.Key}\"}\n        when: before.tagging.TagSet[0].Key == 'team'",
             each_step);
    char from[600];
    snprintf(from, sizeof from,
             "%s\n    undo:\n      - when: size(current.tagging.TagSet) == 1\n        call: "
             "s3:DeleteBucketTagging\n        with: {Bucket: \"${resource.id}\"}",
             one_step);
    scene_start(&s, from, step);
    scene_read(&s, many_tags(&s, 3));
    struct value plan = plan_of(&s), inverse = undo_of(&s, plan, 2, NONE);
    assert_int_equal(inverse.len, 2);
    assert_true(str_is(value_path_str(inverse, "0.with.Bucket"), "bucket-1"));
    assert_true(str_is(value_path_str(inverse, "1.with.Bucket"), "bucket-0"));
    scene_finish(&s);
}

static void test_decide__without_an_undo_there_is_no_way_back(void **state)
{
    (void)state;
    struct scene s;
    struct value inverse;
    scene_start(&s,
                "    undo:\n      - when: size(current.tagging.TagSet) == 1\n        call: "
                "s3:DeleteBucketTagging\n        with: {Bucket: \"${resource.id}\"}\nverify: "
                "{within: 5m, else: undo}\n",
                "    undo: none\n    undo_none: tags cannot be told apart\n");
    scene_read(&s, OTHER);
    assert_false(decide_undo(&s.subject, &s.finding, plan_of(&s), 1, s.finding.reads,
                             s.finding.reads, clock_system(), &s.arena, &inverse, &s.err));
    assert_string_equal(s.err.code, "D0005");
    assert_non_null(strstr(s.err.message, "tags cannot be told apart"));
    scene_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decide__the_verdict_is_the_expressions),
        cmocka_unit_test(test_decide__a_read_names_the_account_the_role_and_the_owner),
        cmocka_unit_test(test_decide__only_a_refusal_with_the_declared_code_is_absent_or_gone),
        cmocka_unit_test(test_decide__every_other_failure_is_unread),
        cmocka_unit_test(test_decide__a_failing_expression_is_neither_true_nor_false),
        cmocka_unit_test(test_decide__a_failing_message_does_not_change_the_verdict),
        cmocka_unit_test(test_decide__the_fingerprint_is_the_content_whatever_its_order),
        cmocka_unit_test(test_decide__each_of_what_is_no_list_is_unread),
        cmocka_unit_test(test_decide__the_fingerprint_covers_only_what_is_used),
        cmocka_unit_test(test_decide__times_are_no_part_of_the_fingerprint),
        cmocka_unit_test(test_decide__reads_and_lets_order_themselves),
        cmocka_unit_test(test_decide__a_read_with_each_is_a_list_and_one_failure_fails_it),
        cmocka_unit_test(test_decide__the_plan_is_the_exact_calls),
        cmocka_unit_test(test_decide__an_approval_is_for_this_plan_and_no_other),
        cmocka_unit_test(test_decide__tokens_are_fresh_and_no_part_of_the_hash),
        cmocka_unit_test(test_decide__a_step_with_each_is_one_call_an_item_up_to_the_limit),
        cmocka_unit_test(test_decide__a_plan_that_the_model_refuses_is_an_error),
        cmocka_unit_test(test_decide__a_step_is_done_by_its_own_test_or_when_the_policy_is_obeyed),
        cmocka_unit_test(test_decide__undo_is_made_from_what_is_there_now),
        cmocka_unit_test(test_decide__undo_goes_back_last_first_and_sees_each_item),
        cmocka_unit_test(test_decide__without_an_undo_there_is_no_way_back),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_finish();
    return failed;
}
