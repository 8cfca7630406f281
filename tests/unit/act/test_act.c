// SPDX-License-Identifier: Apache-2.0
/* The gate closes whenever it cannot be evaluated; a call is handed on exactly as it was planned.
 */
#include "act/act.h"
#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cmocka_all.h"

static int64_t steady_ms;

static int64_t fake_time(void *ctx)
{
    (void)ctx;
    return steady_ms;
}

static const struct clock fake_clock = {fake_time, fake_time, NULL, NULL};

static bool answer_owns(void *ctx)
{
    return *(bool *)ctx;
}

struct folder {
    char dir[64], file[128];
};

static void make_folder(struct folder *f)
{
    strcpy(f->dir, "/tmp/rectify-gate-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->file, sizeof f->file, "%s/stop", f->dir);
}

static void touch(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
}

static struct act_gate gate_at(const char *kill_switch)
{
    steady_ms = 1000;
    return (struct act_gate){kill_switch, &fake_clock, 2000, NULL, NULL};
}

static void expect_closed(const struct act_gate *gate, const char *why)
{
    char reason[256] = "";
    assert_false(act_gate_open(gate, reason, sizeof reason));
    if (!strstr(reason, why))
        fail_msg("\"%s\" does not say \"%s\"", reason, why);
}

static void expect_open(const struct act_gate *gate)
{
    char reason[256] = "";
    if (!act_gate_open(gate, reason, sizeof reason))
        fail_msg("closed: %s", reason);
}

static void test_gate__is_open_without_a_switch_and_with_one_that_is_off(void **state)
{
    (void)state;
    struct folder f;
    struct act_gate none = gate_at(NULL);
    make_folder(&f);
    expect_open(&none);
    struct act_gate off = gate_at(f.file);
    expect_open(&off);
    assert_int_equal(rmdir(f.dir), 0);
}

static void test_gate__closes_when_the_switch_exists_in_any_form(void **state)
{
    (void)state;
    struct folder f;
    make_folder(&f);
    struct act_gate gate = gate_at(f.file);
    touch(f.file);
    expect_closed(&gate, "exists");
    assert_int_equal(chmod(f.file, 0), 0);
    expect_closed(&gate, "exists");
    assert_int_equal(unlink(f.file), 0);
    expect_open(&gate); // switched off again
    assert_int_equal(mkdir(f.file, 0700), 0);
    expect_closed(&gate, "exists");
    assert_int_equal(rmdir(f.file), 0);
    assert_int_equal(symlink("/nowhere/at/all", f.file), 0);
    expect_closed(&gate, "exists");
    assert_int_equal(unlink(f.file), 0);
    assert_int_equal(rmdir(f.dir), 0);
}

static void test_gate__closes_when_the_switch_cannot_be_read(void **state)
{
    (void)state;
    struct folder f;
    char below[160], long_path[5000];
    make_folder(&f);
    touch(f.file);
    snprintf(below, sizeof below, "%s/stop", f.file); // its folder is a file
    struct act_gate gate = gate_at(below);
    expect_closed(&gate, "cannot be read");
    assert_int_equal(unlink(f.file), 0);
    assert_int_equal(rmdir(f.dir), 0);
    gate = gate_at(f.file); // its folder is gone
    expect_closed(&gate, "its folder is not there");
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[0] = '/';
    long_path[sizeof long_path - 1] = '\0';
    gate = gate_at(long_path);
    expect_closed(&gate, "cannot be read");
    gate = gate_at("");
    expect_closed(&gate, "cannot be read");
}

static void test_gate__closes_when_the_folder_may_not_be_searched(void **state)
{
    (void)state;
    struct folder f;
    uid_t me = geteuid();
    make_folder(&f);
    assert_int_equal(chmod(f.dir, 0), 0);
    if (me == 0) // root may search everything
        assert_int_equal(seteuid(65534), 0);
    struct act_gate gate = gate_at(f.file);
    expect_closed(&gate, "cannot be read");
    assert_int_equal(seteuid(me), 0);
    assert_int_equal(chmod(f.dir, 0700), 0);
    assert_int_equal(rmdir(f.dir), 0);
}

static void test_gate__closes_after_the_deadline(void **state)
{
    (void)state;
    struct act_gate gate = gate_at(NULL);
    steady_ms = 2000;
    expect_open(&gate);
    steady_ms = 2001;
    expect_closed(&gate, "too late");
}

static void test_gate__closes_when_the_lease_is_anothers(void **state)
{
    (void)state;
    struct act_gate gate = gate_at(NULL);
    bool owns = true;
    gate.owns = answer_owns;
    gate.owns_ctx = &owns;
    expect_open(&gate);
    owns = false;
    expect_closed(&gate, "another worker");
}

struct seen {
    int calls;
    struct aws_call call;
    bool gate_open;
};

static void note_call(void *ctx, const struct aws_call *call, struct arena *arena,
                      struct aws_answer *ret)
{
    struct seen *seen = ctx;
    char reason[128];
    (void)arena;
    seen->calls++;
    seen->call = *call;
    seen->gate_open = call->gate(call->gate_ctx, reason, sizeof reason);
    *ret = (struct aws_answer){.outcome = AWS_OK, .request_id = STR("R1")};
}

static struct value planned_call(struct arena *arena, const char *operation)
{
    struct value_builder with = {.arena = arena}, out = {.arena = arena};
    value_set(&with, "Bucket", value_cstr("logs"));
    value_set(&out, "call", value_cstr(operation));
    value_set(&out, "with", value_finish_map(&with));
    value_set(&out, "region", value_cstr("eu-west-1"));
    return value_finish_map(&out);
}

static void test_act__a_planned_call_is_handed_on_once_with_its_gate(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct seen seen = {0};
    struct act_gate gate = gate_at(NULL);
    struct act_request request = {fixture_models(),
                                  {note_call, &seen},
                                  planned_call(&arena, "s3:DeleteBucketTagging"),
                                  STR("111122223333"),
                                  {.role = STR("act-role")},
                                  &gate};
    struct aws_answer answer;
    act_call(&request, &arena, &answer);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(answer.outcome, AWS_OK);
    assert_true(str_is(answer.request_id, "R1"));
    assert_true(str_is(aws_operation_name(seen.call.operation), "DeleteBucketTagging"));
    assert_true(str_is(value_path_str(seen.call.input, "Bucket"), "logs"));
    assert_true(str_is(seen.call.region, "eu-west-1"));
    assert_true(str_is(seen.call.account, "111122223333"));
    assert_true(str_is(seen.call.access.role, "act-role"));
    assert_int_equal(seen.call.deadline_ms, 2000);
    assert_true(seen.gate_open);
    steady_ms = 3000; // what the sender asks is this very gate
    act_call(&request, &arena, &answer);
    assert_false(seen.gate_open);
}

static void test_act__an_operation_that_is_not_there_is_not_sent(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct seen seen = {0};
    struct act_gate gate = gate_at(NULL);
    struct act_request request = {
        fixture_models(),    {note_call, &seen}, planned_call(&arena, "s3:Explode"),
        STR("111122223333"), {.role = STR("")},  &gate};
    struct aws_answer answer;
    act_call(&request, &arena, &answer);
    assert_int_equal(seen.calls, 0);
    assert_int_equal(answer.outcome, AWS_NOT_SENT);
    assert_non_null(strstr(answer.message.ptr, "Explode"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate__is_open_without_a_switch_and_with_one_that_is_off),
        cmocka_unit_test(test_gate__closes_when_the_switch_exists_in_any_form),
        cmocka_unit_test(test_gate__closes_when_the_switch_cannot_be_read),
        cmocka_unit_test(test_gate__closes_when_the_folder_may_not_be_searched),
        cmocka_unit_test(test_gate__closes_after_the_deadline),
        cmocka_unit_test(test_gate__closes_when_the_lease_is_anothers),
        cmocka_unit_test(test_act__a_planned_call_is_handed_on_once_with_its_gate),
        cmocka_unit_test(test_act__an_operation_that_is_not_there_is_not_sent),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_finish();
    return failed;
}
