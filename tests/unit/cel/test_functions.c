// SPDX-License-Identifier: Apache-2.0
#include "cel_test.h"

static void test_functions__every_example_is_true(void **state)
{
    (void)state;
    struct cel_function_help help;
    size_t count = 0;
    for (; cel_function_at(count, &help); count++) {
        struct fixture f;
        fixture_begin(&f);
        assert_true(strlen(help.help) > 3);
        if (help.example)
            fixture_expect(&f, help.example, "true");
        else
            assert_non_null(strchr(help.name, '@'));
        fixture_end(&f);
    }
    assert_true(count > 130);
}

/* What the checker says of an example is what the evaluator gives. */
static void test_functions__every_example_is_a_bool_for_the_checker(void **state)
{
    (void)state;
    struct cel_function_help help;
    for (size_t i = 0; cel_function_at(i, &help); i++) {
        struct fixture f;
        fixture_begin(&f);
        const struct cel_program *program = help.example ? fixture_compile(&f, help.example) : NULL;
        if (help.example) {
            assert_non_null(program);
            assert_string_equal(cel_type_text(&f.arena, cel_program_type(program)), "bool");
            cel_program_finish(program);
        }
        fixture_end(&f);
    }
}

static void test_functions__overloads_are_told(void **state)
{
    (void)state;
    struct fixture f;
    struct cel_function_help help;
    fixture_begin(&f);
    size_t i = 0;
    while (cel_function_at(i, &help) && strcmp(help.name, "contains") != 0)
        i++;
    struct buf out = {.arena = &f.arena};
    cel_function_overloads(&out, i);
    assert_string_equal(buf_str(&out).ptr, "string.contains(string) -> bool\n");
    assert_string_equal(help.group, "core");
    fixture_end(&f);
}

static void test_functions__iam_public(void **state)
{
    (void)state;
    static const struct {
        const char *statement, *want;
    } cases[] = {
        {"{'Effect': 'Allow', 'Principal': '*'}", "true"},
        {"{'Effect': 'Allow', 'Principal': {'AWS': ['a', '*']}}", "true"},
        {"{'Effect': 'Allow', 'NotPrincipal': {'AWS': 'a'}}", "true"},
        {"{'Effect': 'Deny', 'Principal': '*'}", "false"},
        {"{'Effect': 'Allow', 'Principal': {'AWS': 'arn:aws:iam::111122223333:root'}}", "false"},
        {"{'Effect': 'Allow', 'Principal': {'Service': 'sns.amazonaws.com'}}", "false"},
        {"{'Effect': 'Allow', 'Principal': '*', 'Condition': {'StringEquals': "
         "{'aws:PrincipalOrgID': 'o-1'}}}",
         "false"},
        {"{'Effect': 'Allow', 'Principal': '*', 'Condition': {'StringEqualsIfExists': "
         "{'aws:PrincipalOrgID': 'o-1'}}}",
         "true"},
        {"{'Effect': 'Allow', 'Principal': '*', 'Condition': {'StringLike': {'aws:SourceAccount': "
         "['1', '*']}}}",
         "true"},
        {"{'Effect': 'Allow', 'Principal': '*', 'Condition': {'ArnLike': {'aws:SourceArn': "
         "'arn:aws:s3:::*'}}}",
         "true"},
        {"{'Effect': 'Allow', 'Principal': '*', 'Condition': {'ArnLike': {'AWS:SourceArn': "
         "'arn:aws:sns:*:111122223333:*'}}}",
         "false"},
        {"{'Effect': 'Allow', 'Principal': '*', 'Condition': {'ArnLike': {'AWS:SourceArn': "
         "'arn:aws:sns:eu-west-1:111122223333:*'}}}",
         "false"},
        {"{'Effect': 'Allow', 'Principal': '*', 'Condition': {'IpAddress': {'aws:SourceIp': "
         "'10.0.0.0/8'}}}",
         "false"},
        {"{'Effect': 'Allow', 'Principal': '*', 'Condition': {'IpAddress': {'aws:SourceIp': "
         "['1.2.3.4', '0.0.0.0/1']}}}",
         "true"},
        {"{'Effect': 'Allow', 'Principal': '*', 'Condition': {'NotIpAddress': {'aws:SourceIp': "
         "'1.2.3.4'}}}",
         "true"},
        {"{'Effect': 'Allow', 'Principal': '*', 'Condition': {'Bool': {'aws:SecureTransport': "
         "'true'}}}",
         "true"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        fixture_begin(&f);
        const char *text = arena_printf(&f.arena, "iam.allowsPublic(%s)", cases[i].statement);
        fixture_expect(&f, text, cases[i].want);
        text = arena_printf(&f.arena, "{'Statement': [{'Effect': 'Deny'}, %s]}.allowsPublic()",
                            cases[i].statement);
        fixture_expect(&f, text, cases[i].want);
        fixture_end(&f);
    }
}

static void test_functions__iam_documents(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    fixture_expect(&f, "iam.policy('%7B%22Version%22%3A%221%22%7D')", "{\"Version\": \"1\"}");
    fixture_expect(&f, "iam.policy('[]')",
                   "!C0206 1:11 not an IAM policy document: an object is needed");
    fixture_expect(&f, "iam.policy('{')", "!C0206 1:11 not an IAM policy document");
    fixture_expect(
        &f,
        "cel.bind(p, iam.policy('{\"Statement\": [{\"Effect\": \"Allow\", \"Principal\": \"*\"}, "
        "{\"Effect\": \"Deny\", \"Sid\": \"d\"}]}'), "
        "json.encode(p.withStatements(p.statements().filter(s, !s.allowsPublic()))))",
        "\"{\\\"Statement\\\":[{\\\"Effect\\\":\\\"Deny\\\",\\\"Sid\\\":\\\"d\\\"}]}\"");
    fixture_expect(&f, "{'a': 1}.statements()", "[]");
    fixture_end(&f);
}

static const char *const cloud_cases[][2] = {
    {"[{'TagKey': 'a', 'TagValue': 'b'}].key('a').value()", "\"b\""},
    {"[{'key': 'a'}].key('a').orValue('none')", "\"\""},
    {"{'a': 'b'}.key('a').orValue('none')", "\"b\""},
    {"[{'Key': 'a', 'Value': 'b'}].key('x').hasValue()", "false"},
    {"arn('arn:aws:s3:::b/k')",
     "{\"partition\": \"aws\", \"service\": \"s3\", \"region\": \"\", \"account\": "
     "\"\", \"resource\": \"b/k\", \"resourceType\": \"b\", \"resourceId\": \"k\"}"},
    {"arn('arn:aws:lambda:r:1:function:f:v').resourceId", "\"f:v\""},
    {"arn('x')", "?C0106"},
    {"arn('arn:aws:s3:::b').acount", "?C0103 1:22 undefined field 'acount'"},
    {"isARN('arn:aws')", "false"},
    {"ports.overlap(23, 80, 22, 22)", "false"},
    {"ports.overlap(22, 22, 0, 65535)", "true"},
    {"ports.remainder(22, 22, [22])", "[]"},
    {"ports.remainder(-1, -1, [0, 65535])", "[[1, 65534]]"},
    {"ports.remainder(10, 20, [[1, 12], [15, 15], [19, 99]])", "[[13, 14], [16, 18]]"},
    {"ports.remainder(10, 20, ['a'])", "?C0102"},
    {"ports.remainder(10, 20, [dyn('a')])", "!C0201"},
    {"'10.0.0.0/0'.isWorld() && '192.168.0.0/4'.isWorld(8) && '10.0.0.0/7'.isWorld(8)", "true"},
    {"'fc00::/7'.isWorld(8) || '100.64.0.0/10'.isWorld(10)", "false"},
    {"'fc00::/6'.isWorld(8)", "true"},
    {"ip('172.31.0.1').isPrivate() && !ip('172.32.0.1').isPrivate()", "true"},
    {"[{'Key': 'a', 'Value': dyn(1)}].key('a')", "!C0206"},
    {"{'a': 1}.key('a').orValue(2) + 1", "2"},
    {"iam.actions({'Action': ['a', 1]})", "!C0206 1:12 not an IAM policy: Action holds a int"},
    {"iam.principals({'Principal': {'AWS': [1]}})", "!C0206"},
    {"{'Statement': [1]}.statements()", "!C0206"},
    {"'0.0.0.0/0'.isWorld() && '::/0'.isWorld()", "true"},
    {"'0.0.0.0/1'.isWorld()", "false"},
    {"'10.0.0.0/8'.isWorld(8)", "false"},
    {"cidr('11.0.0.0/8').isWorld(8)", "true"},
    {"'x'.isWorld()", "!C0206"},
    {"{'a': {'b': 1}}.merge({'a': 2, 'c': 3})", "{\"a\": 2, \"c\": 3}"},
    {"json.decode('{\"a\": 1.0, \"b\": 18446744073709551615}')",
     "{\"a\": 1.0, \"b\": 18446744073709551615u}"},
    {"json.decode('{\"a\": 1,}')", "!C0206"},
    {"json.encode([timestamp(0), duration('1s'), b'a', null, optional.of(1), ip('::1')])",
     "\"[\\\"1970-01-01T00:00:00Z\\\",\\\"1s\\\",\\\"YQ==\\\",null,1,\\\"::1\\\"]\""},
    {"regex.replace('abc', '(b)', '[\\\\1\\\\0\\\\\\\\]')", "\"a[bb\\\\]c\""},
    {"regex.replace('abc', 'b', '\\\\1')", "!C0206"},
    {"regex.replace('aaa', 'a', 'b', 2)", "\"bba\""},
    {"regex.replace('ab', '', '-')", "\"-a-b-\""},
    {"regex.extract('ab', '(a)(b)')", "!C0206"},
    {"regex.extractAll('a1b22', '[0-9]+')", "[\"1\", \"22\"]"},
    {"[3, 1, 2].sortBy(x, -x)", "[3, 2, 1]"},
    {"[1, 'a'].sort()", "!C0201"},
    {"[[2], [1]].sort()", "?C0102 1:16"},
    {"[2.0, 0.0 / 0.0].sort()", "!C0206 1:22 NaN values cannot be ordered"},
    {"[1, 2].sortBy(x, [x])", "?C0102 1:14"},
    {"'ab'.sortBy(x, x)", "?C0004 1:1"},
    {"('a' + 'b').sortBy(x, x)", "?C0105 1:19"},
    {"math.greatest(['a', 'b'])", "?C0102 1:14"},
    {"math.greatest([])", "?C0004 1:15"},
    {"math.least(1.0, 0.0 / 0.0)", "!C0206"},
    {"optional.of(1).or(optional.of(1 / 0)).orValue(1 / 0)", "1"},
    {"optional.none().orValue(1 / 0)", "!C0205"},
    {"base64.decode('QQ==') + base64.decode('QR') + base64.decode('QUJ')", "b\"AAAB\""},
    {"base64.decode('Q')", "!C0206"},
    {"'%s %d'.format([1e21, 1e-7])", "\"1000000000000000000000 0.0000001\""},
    {"'%s|%s'.format([-1.25e+3, 123456789.5])", "\"-1250|123456789.5\""},
    {"lists.range(3).map(i, i * i)", "[0, 1, 4]"},
    {"[1, [2, [3]]].flatten(1)", "[1, 2, [3]]"},
};

static void test_functions__cloud(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cloud_cases / sizeof *cloud_cases; i++) {
        struct fixture f;
        fixture_begin(&f);
        fixture_expect(&f, cloud_cases[i][0], cloud_cases[i][1]);
        fixture_end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions__every_example_is_true),
        cmocka_unit_test(test_functions__every_example_is_a_bool_for_the_checker),
        cmocka_unit_test(test_functions__overloads_are_told),
        cmocka_unit_test(test_functions__iam_public),
        cmocka_unit_test(test_functions__iam_documents),
        cmocka_unit_test(test_functions__cloud),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
