// SPDX-License-Identifier: Apache-2.0
/* Signatures by their published examples, the form, and what answers say. */
#include "approve/approve.h"

#include <stdio.h>
#include <stdlib.h>

#include "../cmocka_all.h"

#define ASK "0123456789abcdef0123456789abcdef"
#define HASH ASK ASK
#define TOKEN "r12 " ASK " " HASH

static struct channel slack = {.kind = CHANNEL_SLACK,
                               .to = {"C1", 2},
                               .team = {"T1", 2},
                               .app = {"A1", 2},
                               .secret = {.env = {"TEST_SLACK", 10}},
                               .may_decide = true};

/* Slack's documentation, "Verifying requests from Slack". */
static void test_approve__slack_signature_as_documented(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct approve_said said;
    struct error err;
    struct str body = STR(
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id="
        "G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-"
        "collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%"
        "2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121."
        "803a0bc887a14d10d2c447fce8b6703c");
    struct approve_header headers[] = {
        {STR("X-Slack-Request-Timestamp"), STR("1531420618")},
        {STR("X-Slack-Signature"),
         STR("v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503")}};
    setenv("TEST_SLACK", "8f742231b10e8888abcd99yyyzzz85a5", 1);
    assert_false(approve_read(&slack, headers, 2, body, 1531420618000, &arena, &said, &err));
    assert_string_equal(err.code, "Q0003"); // genuine, but a command and no click
    assert_false(
        approve_read(&slack, headers, 2, body, 1531420618000 + 301000, &arena, &said, &err));
    assert_string_equal(err.code, "Q0002");
    setenv("TEST_SLACK", "8f742231b10e8888abcd99yyyzzz85a6", 1);
    assert_false(approve_read(&slack, headers, 2, body, 1531420618000, &arena, &said, &err));
    assert_string_equal(err.code, "Q0001");
    unsetenv("TEST_SLACK");
    assert_false(approve_read(&slack, headers, 2, body, 1531420618000, &arena, &said, &err));
    assert_string_equal(err.code, "W0001"); // no secret: nothing is genuine
}

/* The vector of the Standard Webhooks libraries. */
static void test_approve__webhook_signature_as_documented(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct approve_said said;
    struct error err;
    struct str signature, body = STR("{\"test\": 2432232314}");
    assert_true(webhook_sign(STR("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
                             STR("msg_p5jXN8AQM9LWM0D4loKWxJek"), STR("1614265330"), body, &arena,
                             &signature, &err));
    assert_true(str_is(signature, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    struct channel hook = {.kind = CHANNEL_WEBHOOK,
                           .secret = {.env = {"TEST_NEW", 8}},
                           .old_secret = {.env = {"TEST_OLD", 8}}};
    struct approve_header headers[] = {
        {STR("webhook-id"), STR("msg_p5jXN8AQM9LWM0D4loKWxJek")},
        {STR("webhook-timestamp"), STR("1614265330")},
        {STR("webhook-signature"), STR("v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")}};
    setenv("TEST_NEW", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", 1);
    setenv("TEST_OLD", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1); // being changed
    assert_true(approve_read(&hook, headers, 3, body, 1614265330000, &arena, &said, &err));
    assert_int_equal(said.kind, APPROVE_NONE);
    headers[2].value = STR("v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert_false(approve_read(&hook, headers, 3, body, 1614265330000, &arena, &said, &err));
    assert_string_equal(err.code, "Q0001");
    assert_false(
        webhook_sign(STR("whsec_c2hvcnQ="), STR("m"), STR("1"), body, &arena, &signature, &err));
    assert_string_equal(err.code, "W0003");
}

static void test_approve__forms(void **state)
{
    (void)state;
    static const struct {
        const char *body, *value; // NULL = refused
    } cases[] = {{"payload=a", "a"},       {"x=1&payload=a+b%20c%3D", "a b c="},
                 {"payload=", ""},         {"p%61yload=%7b%7D", "{}"},
                 {"payload=%", NULL},      {"payload=%4", NULL},
                 {"payload=%zz", NULL},    {"payload=1&payload=2", NULL},
                 {"other=1", NULL},        {"", NULL},
                 {"%4=1&payload=2", NULL}, {"payload", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena ARENA_AUTO = {0};
        struct str value = {0};
        bool ok = approve_form(str_from(cases[i].body), "payload", &arena, &value);
        if (ok != (cases[i].value != NULL) || (ok && !str_is(value, cases[i].value)))
            fail_msg("%s gives %.*s", cases[i].body, STR_FMT(value));
    }
}

static bool parse(const char *json, struct arena *arena, struct approve_said *said,
                  struct error *err)
{
    struct buf out = {.arena = arena};
    buf_add_cstr(&out, "payload=");
    for (const char *p = json; *p; p++)
        buf_printf(&out, "%%%02x", (unsigned char)*p);
    return approve_slack_parse(&slack, buf_str(&out), arena, said, err);
}

#define HEAD "\"user\":{\"id\":\"U1\"},\"team\":{\"id\":\"T1\"},\"api_app_id\":\"A1\""
#define CLICK(action, value)                                                                       \
    "{\"type\":\"block_actions\"," HEAD ",\"channel\":{\"id\":\"C1\"},\"trigger_id\":\"t\","       \
    "\"actions\":[{\"action_id\":\"" action "\",\"value\":\"" value "\"}]}"

static void test_approve__clicks_and_dialogs(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct approve_said said;
    struct error err;
    assert_true(parse(CLICK("rectify_approve", TOKEN), &arena, &said, &err));
    assert_int_equal(said.kind, APPROVE_ANSWER);
    assert_true(said.yes && said.id == 12 && str_is(said.ask, ASK) && str_is(said.plan_hash, HASH));
    assert_true(str_is(said.identity, "slack:U1"));
    assert_true(parse(CLICK("rectify_deny", TOKEN), &arena, &said, &err));
    assert_int_equal(said.kind, APPROVE_REASON);
    assert_true(!said.yes && str_is(said.trigger, "t") && str_is(said.token, TOKEN));
    assert_true(parse(CLICK("another", "x"), &arena, &said, &err));
    assert_int_equal(said.kind, APPROVE_NONE);
    assert_true(parse("{\"type\":\"view_submission\"," HEAD ",\"view\":{\"callback_id\":"
                      "\"rectify_deny\",\"private_metadata\":\"" TOKEN "\",\"state\":{\"values\":{"
                      "\"reason\":{\"reason\":{\"value\":\"why\"}}}}}}",
                      &arena, &said, &err));
    assert_int_equal(said.kind, APPROVE_ANSWER);
    assert_true(!said.yes && str_is(said.reason, "why"));
}

static void test_approve__what_is_no_answer(void **state)
{
    (void)state;
    static const char *const texts[] = {CLICK("rectify_approve", "r0 " ASK " " HASH),
                                        CLICK("rectify_approve", "r1 " ASK),
                                        CLICK("rectify_approve", "r1 " ASK "0 " HASH),
                                        CLICK("rectify_approve", TOKEN " x"),
                                        CLICK("rectify_approve", ""),
                                        "{\"type\":\"block_actions\"," HEAD "}",
                                        "{\"type\":\"block_actions\"," HEAD
                                        ",\"actions\":[{\"action_id\":\"rectify_approve\","
                                        "\"value\":\"" TOKEN "\"}]}",
                                        "[]",
                                        "1",
                                        "{}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct arena arena ARENA_AUTO = {0};
        struct approve_said said;
        struct error err;
        if (parse(texts[i], &arena, &said, &err))
            fail_msg("%s was taken", texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_approve__slack_signature_as_documented),
        cmocka_unit_test(test_approve__webhook_signature_as_documented),
        cmocka_unit_test(test_approve__forms),
        cmocka_unit_test(test_approve__clicks_and_dialogs),
        cmocka_unit_test(test_approve__what_is_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
