// SPDX-License-Identifier: Apache-2.0
/* What is wrong with a policy is told with its place, the underlined text and what to do about it.
 */
#include "fixture.h"

#include <stdio.h>

#include "../cmocka_all.h"

struct mistake {
    const char *what, *from, *to; // the fixture's policy with `from` replaced
    const char *code;
    unsigned line, column; // 0 = not looked at
    const char *message;   // part of it
    const char *hint;      // part of it, NULL = not looked at
};

static const struct mistake mistakes[] = {
    {"typo in a top key", "severity: low", "severty: low", "P0107", 3, 1, "unknown key `severty`",
     "did you mean `severity`?"},
    {"typo in a nested key", "  settle: 60s", "  setle: 60s", "P0107", 10, 3, "unknown key `setle`",
     "did you mean `settle`?"},
    {"typo in a call", "      gone: [", "      gon: [", "P0107", 17, 7, "unknown key `gon`",
     "did you mean `gone`?"},
    {"typo in guard", "guard: {mode: enforce}", "guard: {mod: enforce}", "P0107", 30, 9,
     "unknown key `mod`", "did you mean `mode`?"},
    {"unquoted !", "violation: \"!tagging.TagSet.exists(t, t.Key == 'owner')\"",
     "violation: !tagging.TagSet.exists(t, t.Key == 'owner')", "P0103", 18, 14, "unquoted !",
     "put quotes around the expression"},
    {"unquoted ! before a parenthesis",
     "violation: \"!tagging.TagSet.exists(t, t.Key == 'owner')\"",
     "violation: !(size(tagging.TagSet) > 0)", "P0103", 18, 14, "unquoted !",
     "put quotes around the expression"},
    {"duplicate key", "severity: low", "severity: low\nseverity: high", "P0101", 4, 1, "duplicate",
     NULL},
    {"unquoted colon", "message: ${\"bucket \" + resource.id + \" has no owner\"}",
     "message: ${true ? 'a' : 'b'}", "P0101", 19, 0, "", "needs quotes"},
    {"not YAML", "severity: low", "severity: [low", "P0101", 0, 0, "", NULL},
    {"tab", "  settle: 60s", "\tsettle: 60s", "P0101", 0, 0, "", NULL},
    {"alias", "severity: low", "severity: &x low\ntitle2: *x", "P0105", 4, 10, "aliases",
     "write the value out"},
    {"wrong duration", "settle: 60s", "settle: 60 secs", "P0108", 10, 11, "not a duration", "90s"},
    {"wrong severity", "severity: low", "severity: lowish", "P0108", 3, 11, "not a severity",
     "info, low"},
    {"wrong mode", "mode: enforce", "mode: enfroce", "P0108", 30, 15, "not a mode",
     "observe, approve or enforce"},
    {"ask that is no condition", "mode: enforce", "ask: maybe", "C0101", 30, 0, "maybe", NULL},
    {"wrong flag", "    undo:\n      - when", "    closes_hole: maybe\n    undo:\n      - when",
     "P0108", 25, 18, "true or false", NULL},
    {"wrong scope", "AWS::S3::Bucket}", "AWS::S3::Bucket, scope: world}", "P0108", 6, 0,
     "not a scope", "regional"},
    {"unknown operation", "call: s3:GetBucketTagging", "call: s3:GetBucketTaging", "P0111", 14, 13,
     "GetBucketTaging", "GetBucketTagging"},
    {"unknown service", "call: s3:GetBucketTagging", "call: s33:GetBucketTagging", "P0111", 14, 13,
     "s33", "s3"},
    {"unknown event", "s3:CreateBucket: event", "s3:CreatBucket: event", "P0111", 9, 5,
     "CreatBucket", "CreateBucket"},
    {"unknown member", "with: {Bucket: \"${resource.id}\"}\n      absent",
     "with: {Buckt: \"${resource.id}\"}\n      absent", "P0112", 15, 14,
     "no member `Buckt`; did you mean `Bucket`?", NULL},
    {"missing member",
     "Tagging: {TagSet: \"${tagging.TagSet + [{'Key': 'owner', 'Value': params.value}]}\"}",
     "Tagging: {}", "P0112", 22, 0, "TagSet", NULL},
    {"a write under read", "call: s3:GetBucketTagging", "call: s3:DeleteBucketTagging", "P0115", 0,
     0, "not a reviewed read-only operation", NULL},
    {"a read of data", "call: s3:GetBucketTagging", "call: s3:GetObject", "P0115", 0, 0,
     "not a reviewed read-only operation", NULL},
    {"denial is not absence", "absent: {NoSuchTagSet:", "absent: {AccessDenied:", "P0114", 0, 0,
     "does not mean that there is nothing", NULL},
    {"denial is not gone", "gone: [NoSuchBucket]", "gone: [UnauthorizedOperation]", "P0114", 0, 0,
     "does not mean that there is nothing", NULL},
    {"throttling is not absence", "absent: {NoSuchTagSet:", "absent: {ThrottlingException:",
     "P0114", 0, 0, "does not mean", NULL},
    {"5xx is not absence", "absent: {NoSuchTagSet:", "absent: {ServiceUnavailable:", "P0114", 0, 0,
     "does not mean", NULL},
    {"limits are not absence", "absent: {NoSuchTagSet:", "absent: {RequestLimitExceeded:", "P0114",
     0, 0, "does not mean", NULL},
    {"circle", "  violation:", "  let: {a: \"b + 1\", b: \"a + 1\"}\n  violation:", "P0116", 0, 0,
     "circle", NULL},
    {"no decide", "decide:", "description:", "P0117", 0, 0, "needs `decide`", NULL},
    {"no violation", "  violation: \"!tagging.TagSet.exists(t, t.Key == 'owner')\"\n", "", "P0117",
     0, 0, "needs `violation`", NULL},
    {"no events",
     "detect:\n  events:\n    s3:CreateBucket: event.detail.requestParameters.bucketName\n",
     "detect:\n", "P0118", 0, 0, "detect.events", NULL},
    {"no undo",
     "    undo:\n      - when: size(current.tagging.TagSet) == 1\n        call: "
     "s3:DeleteBucketTagging\n        with: {Bucket: \"${resource.id}\"}\n",
     "", "P0119", 0, 0, "needs `undo`", "undo: none"},
    {"undo where it re-opens", "    undo:\n      - when",
     "    closes_hole: true\n    undo:\n      - when", "P0122", 0, 0, "closes a hole",
     "else: person"},
    {"a waiter that is none", "else: undo}",
     "else: undo, wait: {until: BucketExist, call: s3:HeadBucket}}", "A0329", 0, 0, "BucketExist",
     "BucketExists"},
    {"a waiter without its name", "else: undo}", "else: undo, wait: {call: s3:HeadBucket}}",
     "P0106", 0, 0, "`until`", "until:"},
    {"a waiter that asks what is no read", "else: undo}",
     "else: undo, wait: {until: X, call: s3:PutBucketTagging}}", "P0115", 0, 0, "read-only", NULL},
    {"exemption without an end", "{mode: enforce}",
     "{mode: enforce, exempt: [{when: 'true', owner: me, reason: x}]}", "P0121", 30, 34, "until",
     NULL},
    {"three people", "{mode: enforce}", "{mode: enforce, approval: {need: 3}}", "P0125", 30, 0,
     "one or two people", "need: 1"},
    {"nobody to tell", "severity: low", "notify: [{on: [healed]}]", "P0141", 0, 0, "needs `to`",
     "owner"},
    {"nothing to tell", "severity: low", "notify: [{to: ops, on: [healled]}]", "P0108", 3, 0,
     "`healled`", "healed"},
    {"account on a call", "    with:\n      Bucket: ${resource.id}\n",
     "    account: '1'\n    with:\n      Bucket: ${resource.id}\n", "P0123", 0, 0,
     "resource's account", NULL},
    {"brace", "${\"bucket \" + resource.id + \" has no owner\"}", "\"bucket ${resource.id\"",
     "P0110", 19, 0, "closing }", NULL},
    {"unknown variable", "size(current.", "size(curent.", "C0101", 26, 20, "curent", "current"},
    {"event outside of detect", "t.Key == 'owner'", "t.Key == event.id", "C0101", 18, 0, "event",
     NULL},
    {"unknown field of an answer", "!tagging.TagSet.exists", "!tagging.TagSets.exists", NULL, 18, 0,
     "TagSets", "TagSet"},
    {"type of violation", "violation: \"!tagging.TagSet.exists(t, t.Key == 'owner')\"",
     "violation: size(tagging.TagSet)", NULL, 18, 0, "", NULL},
    {"syntax of an expression", "size(current.tagging.TagSet) == 1",
     "size(current.tagging.TagSet == 1", NULL, 26, 0, "", NULL},
    {"undo that is not a list",
     "    undo:\n      - when: size(current.tagging.TagSet) == 1\n        call: "
     "s3:DeleteBucketTagging\n        with: {Bucket: \"${resource.id}\"}\n",
     "    undo:\n      call: s3:DeleteBucketTagging\n", "P0119", 0, 0, "a list of calls", NULL},
    {"default of another type", "default: unassigned", "default: 5", "P0124", 5, 0, "string", NULL},
    {"field of a parameter", "'Value': params.value", "'Value': params.vale", "C0103", 24, 0,
     "vale", "did you mean `value`?"},
    {"type of a parameter", "'Value': params.value", "'Value': params.value + 1", "C0102", 24, 0,
     "'(string, int)'", "string(...)"},
    {"field of what was read again", "size(current.tagging.TagSet)",
     "size(current.tagging.TagSett)", "C0103", 26, 35, "TagSett", "did you mean `TagSet`?"},
    {"name of what was read again", "size(current.tagging.TagSet)", "size(current.taging.TagSet)",
     "C0103", 26, 27, "taging", "did you mean `tagging`?"},
    {"field of an item of an answer", "t.Key == 'owner'", "t.Kye == 'owner'", "C0103", 18, 0, "Kye",
     "did you mean `Key`?"},
    {"absent that is not the answer's", "{TagSet: []}}", "{TagSett: []}}", "P0126", 16, 31,
     "no member `TagSett`", "did you mean `TagSet`?"},
    {"absent of another kind", "{TagSet: []}}", "{TagSet: {}}}", "P0126", 16, 0, "a list", "[]"},
    {"absent that is nothing", "{TagSet: []}}", "null}", "P0126", 16, 30, "a mapping", "{}"},
    {"absent with a number for text", "{TagSet: []}}", "{TagSet: [{Key: 1, Value: a}]}}", "P0126",
     16, 0, "wants text", "quote it"},
    {"resource that is no id", "event.detail.requestParameters.bucketName",
     "size(event.detail.requestParameters.bucketName)", "P0109", 9, 22, "not int", NULL},
    {"loops within loops", "t.Key == 'owner')",
     "tagging.TagSet.exists(u, tagging.TagSet.exists(v, tagging.TagSet.exists(w, w.Key == "
     "v.Key))))",
     "C0304", 18, 0, "LIMIT_EXPRESSION_ESTIMATE", "filter first"},
    {"unknown type of a parameter", "type: string", "type: text", "P0124", 5, 0, "text", "string"},
};

static bool fits(const struct mistake *m, const struct error *err)
{
    return (!m->code || (err->code && strcmp(err->code, m->code) == 0)) &&
           (!m->line || err->line == m->line) && (!m->column || err->column == m->column) &&
           strstr(err->message, m->message) && (!m->hint || strstr(err->hint, m->hint));
}

static void test_errors__each_mistake_is_told_with_place_and_advice(void **state)
{
    (void)state;
    unsigned bad = 0;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const struct mistake *m = &mistakes[i];
        struct arena arena ARENA_AUTO = {0};
        struct error_list errors = {.arena = &arena};
        struct policy_set *set =
            fixture_load(fixture_policy(&arena, m->from, m->to), NULL, &errors);
        bool found = false;
        for (size_t k = 0; k < errors.count && k < ERROR_LIST_MAX; k++)
            found = found || fits(m, errors.items[k]);
        if (set || !found) {
            printf("%s: %s\n%s", m->what, set ? "accepted" : "told as",
                   fixture_errors(&arena, &errors));
            bad++;
        }
        policy_set_destroy(set);
    }
    assert_int_equal(bad, 0);
}

static void test_errors__the_fixture_itself_is_right(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error_list errors = {.arena = &arena};
    struct policy_set *set = fixture_load(fixture_policy(&arena, NULL, NULL), NULL, &errors);
    if (!set)
        fail_msg("%s", fixture_errors(&arena, &errors));
    assert_int_equal(errors.count, 0);
    policy_set_destroy(set);
}

#define VIOLATION "  violation: \"!tagging.TagSet.exists(t, t.Key == 'owner')\"\n"

/* Whatever YAML makes of an expression, its mistakes are found again in the file. */
static void test_errors__places_are_those_of_the_file_in_every_style(void **state)
{
    (void)state;
    static const struct {
        const char *style, *text; // the mistake is the field Oops
        unsigned line, column;
    } cases[] = {
        {"plain", "  violation: size(tagging.Oops) > 0\n", 18, 26},
        {"plain on several lines",
         "  violation: true &&\n    true\n      && size(tagging.Oops) > 0\n", 20, 22},
        {"literal block", "  violation: |\n    true &&\n\n      size(tagging.Oops) > 0\n", 21, 19},
        {"folded block",
         "  violation: >-\n    true &&\n    true &&\n\n    true && size(tagging.Oops) > 0\n", 22,
         25},
        {"block with its own indentation",
         "  violation: |2-\n    true &&\n     size(tagging.Oops) > 0\n", 20, 18},
        {"single quotes",
         "  violation: 'size(''\xc3\xa9'') > 0 && '''' != ''x'' && size(tagging.Oops) > 0'\n", 18,
         63},
        {"single quotes on several lines",
         "  violation: 'true &&\n\n     size(tagging.Oops) > 0'\n", 20, 18},
        {"double quotes",
         "  violation: \"'\\u00e9\\x41' !=\\n\\t\\\"a\\\" && size(tagging.Oops) > 0\"\n", 18, 55},
        {"double quotes on several lines",
         "  violation: \"true && \\\n     true &&\n     size(tagging.Oops) > 0\"\n", 20, 18},
        {"lines that end with CR LF",
         "  violation: |\r\n    true &&\r\n    size(tagging.Oops) > 0\r\n", 20, 17},
    };
    unsigned bad = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena ARENA_AUTO = {0};
        struct error_list errors = {.arena = &arena};
        const char *policy = fixture_policy(&arena, VIOLATION, cases[i].text);
        struct policy_set *set = fixture_load(policy, NULL, &errors);
        const struct error *err = errors.count ? errors.items[0] : NULL;
        if (set || !err || strcmp(err->code, "C0103") != 0 || err->line != cases[i].line ||
            err->column != cases[i].column) {
            printf("%s, not at %u:%u: %s", cases[i].style, cases[i].line, cases[i].column,
                   fixture_errors(&arena, &errors));
            bad++;
        }
        policy_set_destroy(set);
    }
    assert_int_equal(bad, 0);
}

static void test_errors__each_expression_of_a_value_is_looked_at(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error_list errors = {.arena = &arena};
    const char *policy =
        fixture_policy(&arena, "message: ${\"bucket \" + resource.id + \" has no owner\"}",
                       "message: ${resource.id} ${resource.id} ${'}' + resource.di} ${region.x}");
    assert_null(fixture_load(policy, NULL, &errors));
    assert_int_equal(errors.count, 2);
    assert_int_equal(errors.items[0]->column, 58);
    assert_int_equal(errors.items[1]->column, 71);
}

static void test_errors__channels_and_people(void **state)
{
    (void)state;
    static const struct {
        const char *text, *code, *message;
    } cases[] = {
        {"channels: {ops: {kind: slak, to: C1}}", "P0108", "not a kind"},
        {"channels: {ops: {kind: slack, to: C1}}", "P0141", "needs `token`"},
        {"channels: {ops: {kind: slack, to: C1, token: {env: A, file: b}}}", "P0142", "secret"},
        {"channels: {ops: {kind: slack, to: C1, token: {}}}", "P0142", "secret"},
        {"channels: {h: {kind: webhook, to: ftp://x, secret: {env: A}}}", "P0141", "no address"},
        {"channels: {h: {kind: webhook, to: http://x/, secret: {env: A}}}", "P0143", "clear"},
        {"channels: {h: {kind: jira, to: OPS, token: {env: A}}}", "P0141", "needs `url`"},
        {"people: {ann: {ids: [U123]}}", "P0141", "U123"},
        {"people: {ann: {ids: [slack:U1]}, bob: {ids: [slack:U1]}}", "P0144", "both"},
        {"channels: {h: {kind: sns, to: x, on: [never]}}", "P0108", "never"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena ARENA_AUTO = {0};
        struct error_list errors = {.arena = &arena};
        const char *config = arena_printf(&arena, "assignments: []\n%s\n", cases[i].text);
        assert_null(fixture_load(fixture_policy(&arena, NULL, NULL), config, &errors));
        const char *said = fixture_errors(&arena, &errors);
        if (!strstr(said, cases[i].code) || !strstr(said, cases[i].message))
            fail_msg("%s: %s", cases[i].text, said);
    }
}

static void test_errors__a_policy_names_channels_that_are_there(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error_list errors = {.arena = &arena};
    const char *policy = fixture_policy(&arena, "severity: low", "notify: [{to: owner, on: page}]");
    const char *other = "assignments: []\nchannels: {t: {kind: sns, to: x, owners: [net*]}}\n";
    assert_null(fixture_load(policy, other, &errors));
    assert_string_equal(errors.items[0]->code, "P0141");
    struct policy_set *set = fixture_load(policy, "assignments: []\n", &errors); // nobody is told
    assert_non_null(set);
    policy_set_destroy(set);
}

static void test_errors__rectify_yaml_sets_parameters_of_their_types(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error_list errors = {.arena = &arena};
    assert_null(fixture_load(
        fixture_policy(&arena, NULL, NULL),
        "assignments:\n  - {policies: tags, accounts: \"*\", params: {value: 5}}\n", &errors));
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.items[0]->code, "P0124");
    assert_int_equal(errors.items[0]->line, 2);
    assert_int_equal(errors.items[0]->column, 53);
    assert_non_null(strstr(errors.items[0]->message, "`value` of policy `tags` is not a string"));
}

static void test_errors__all_mistakes_of_a_file_are_told_at_once(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error_list errors = {.arena = &arena};
    struct policy_set *set = fixture_load(
        fixture_policy(&arena, "severity: low\n", "severity: no\nowner: [x]\nnonsense: 1\n"), NULL,
        &errors);
    assert_null(set);
    assert_int_equal(errors.count, 3);
}

static void test_errors__the_caret_stands_under_the_mistake(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error_list errors = {.arena = &arena};
    struct policy_set *set =
        fixture_load(fixture_policy(&arena, "  settle: 60s", "  setle: 60s"), NULL, &errors);
    assert_null(set);
    const char *text = fixture_errors(&arena, &errors);
    assert_non_null(strstr(text, "error[P0107]: unknown key `setle`"));
    assert_non_null(strstr(text, "p.yaml:10:3"));
    assert_non_null(strstr(text, "|   setle: 60s\n"));
    assert_non_null(strstr(text, "|   ^^^^^\n"));
    assert_non_null(strstr(text, "did you mean `settle`?"));
}

static void test_errors__a_file_that_is_not_utf8_is_refused(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error_list errors = {.arena = &arena};
    assert_null(
        fixture_load(fixture_policy(&arena, "severity: low", "severity: l\xffow"), NULL, &errors));
    assert_string_equal(errors.items[0]->code, "P0101");
    assert_non_null(strstr(errors.items[0]->message, "UTF-8"));
}

static void test_errors__a_folder_without_policies_is_an_error(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct error_list errors = {.arena = &arena};
    struct policy_options options = {.dir = "/nowhere/at/all", .models = fixture_models()};
    assert_null(policy_set_load(&options, &errors));
    assert_string_equal(errors.items[0]->code, "P0132");
    assert_non_null(strstr(errors.items[0]->message, "/nowhere/at/all"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors__the_fixture_itself_is_right),
        cmocka_unit_test(test_errors__each_mistake_is_told_with_place_and_advice),
        cmocka_unit_test(test_errors__places_are_those_of_the_file_in_every_style),
        cmocka_unit_test(test_errors__each_expression_of_a_value_is_looked_at),
        cmocka_unit_test(test_errors__channels_and_people),
        cmocka_unit_test(test_errors__a_policy_names_channels_that_are_there),
        cmocka_unit_test(test_errors__rectify_yaml_sets_parameters_of_their_types),
        cmocka_unit_test(test_errors__all_mistakes_of_a_file_are_told_at_once),
        cmocka_unit_test(test_errors__the_caret_stands_under_the_mistake),
        cmocka_unit_test(test_errors__a_file_that_is_not_utf8_is_refused),
        cmocka_unit_test(test_errors__a_folder_without_policies_is_an_error),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_finish();
    return failed;
}
