// SPDX-License-Identifier: Apache-2.0
/* Answers: outputs and errors of each protocol, and whatever else may come back. */
#include "models_fixture.h"

#include "aws/xml_internal.h"
#include "base/limits.h"

static struct aws_http_answer answer(int status, const char *body)
{
    return (struct aws_http_answer){.status = status, .body = str_from(body)};
}

static void expect(struct fixture *f, const char *operation, struct aws_http_answer from,
                   const char *want)
{
    struct value output;
    struct error err = {0};
    const struct aws_operation *op = fixture_operation(f, operation);
    assert_true(aws_answer_is_ok(op, &from));
    if (!aws_parse_answer(op, &from, &f->arena, &output, &err))
        fail_msg("%s: %s", operation, err.message);
    assert_json(f, output, want);
}

static void refuse(struct fixture *f, const char *operation, const char *body)
{
    struct value output = value_int(77);
    struct error err = {0};
    struct aws_http_answer from = answer(200, body);
    assert_false(
        aws_parse_answer(fixture_operation(f, operation), &from, &f->arena, &output, &err));
    assert_int_equal(output.i, 77);
    if (!err.code || strncmp(err.code, "A018", 4) != 0)
        fail_msg("%s: %s", body, err.message);
}

static struct aws_service_error failure(struct fixture *f, const char *operation,
                                        struct aws_http_answer from)
{
    struct aws_service_error error;
    const struct aws_operation *op = fixture_operation(f, operation);
    assert_false(aws_answer_is_ok(op, &from));
    aws_parse_error(op, &from, &f->arena, &error);
    return error;
}

static void test_protocol__rest_xml_is_read(void **state)
{
    expect(*state, "s3:GetBucketTagging",
           answer(200, "<?xml version=\"1.0\"?>\n<Tagging xmlns=\"http://x/\"> <TagSet>\n <Tag>"
                       "<Key>a&amp;</Key><Value> v </Value></Tag><Tag><Key>b</Key><Value/></Tag>"
                       "</TagSet></Tagging>"),
           "{\"TagSet\":[{\"Key\":\"a&\",\"Value\":\" v \"},{\"Key\":\"b\",\"Value\":\"\"}]}");
    expect(*state, "s3:GetBucketTagging", answer(200, "<Tagging><TagSet/></Tagging>"),
           "{\"TagSet\":[]}");
}

static void test_protocol__flattened_lists_are_collected(void **state)
{
    expect(*state, "s3:ListObjectsV2",
           answer(200, "<R><IsTruncated>false</IsTruncated><Contents><Key>a%20b</Key><Size>"
                       "5000000000</Size></Contents><KeyCount>2</KeyCount><Contents><Key>c+d</Key>"
                       "</Contents><EncodingType>url</EncodingType></R>"),
           "{\"IsTruncated\":false,\"Contents\":[{\"Key\":\"a b\",\"Size\":5000000000},"
           "{\"Key\":\"c d\"}],\"EncodingType\":\"url\",\"KeyCount\":2}");
}

static void test_protocol__bucket_location_is_a_bare_element(void **state)
{
    expect(*state, "s3:GetBucketLocation",
           answer(200, "<LocationConstraint xmlns=\"http://x/\">eu-west-1</LocationConstraint>"),
           "{\"LocationConstraint\":\"eu-west-1\"}");
    expect(*state, "s3:GetBucketLocation", answer(200, "<LocationConstraint/>"),
           "{\"LocationConstraint\":null}");
    refuse(*state, "s3:GetBucketLocation", "<Something/>");
}

static void test_protocol__headers_and_streams_are_read(void **state)
{
    static const struct net_header headers[] = {
        {STR("last-modified"), STR("Fri, 02 Jan 2026 03:04:05 GMT")},
        {STR("Content-Length"), STR("3")},
        {STR("X-Amz-Meta-Owner"), STR("me")},
        {STR("Expires"), STR("never")},
    };
    struct aws_http_answer from = answer(200, "abc");
    from.headers = headers;
    from.header_count = 4;
    expect(*state, "s3:GetObject", from,
           "{\"LastModified\":\"2026-01-02T03:04:05Z\",\"ContentLength\":3,\"Metadata\":{\"Owner\":"
           "\"me\"},\"Body\":\"YWJj\"}");
}

static void test_protocol__rest_json_is_read(void **state)
{
    static const struct net_header headers[] = {{STR("X-List"), STR("a, \"b,c\" ,d")}};
    struct aws_http_answer from = answer(202, "{\"reserved\":7,\"more\":[]}");
    from.headers = headers;
    from.header_count = 1;
    expect(*state, "lambda:PutConcurrency", from,
           "{\"Status\":202,\"List\":[\"a\",\"b,c\",\"d\"],\"Reserved\":7}");
}

static void test_protocol__json_is_read(void **state)
{
    expect(
        *state, "kms:DescribeKey",
        answer(200, "{\"KeyMetadata\":{\"KeyId\":\"k\",\"CreationDate\":1767323045.5,"
                    "\"Enabled\":true,\"Blob\":\"aGk=\",\"Sizes\":[1,null],\"Labels\":"
                    "{\"a\":\"b\"},\"Choice\":{\"C\":1},\"Any\":{\"x\":1},\"Ratio\":2,"
                    "\"Unknown\":1}}"),
        "{\"KeyMetadata\":{\"KeyId\":\"k\",\"CreationDate\":\"2026-01-02T03:04:05.5Z\","
        "\"Enabled\":true,\"Blob\":\"aGk=\",\"Sizes\":[1,null],\"Labels\":{\"a\":\"b\"},"
        "\"Choice\":{\"SDK_UNKNOWN_MEMBER\":{\"name\":\"C\"}},\"Any\":{\"x\":1},\"Ratio\":2.0}}");
    expect(*state, "kms:Ping", answer(200, ""), "{}");
    expect(*state, "kms:DescribeKey", answer(200, ""), "{}");
}

static void test_protocol__query_unwraps_its_result(void **state)
{
    expect(*state, "sts:GetCallerIdentity",
           answer(200, "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012"
                       "</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>r"
                       "</RequestId></ResponseMetadata></GetCallerIdentityResponse>"),
           "{\"Account\":\"123456789012\"}");
    refuse(*state, "sts:GetCallerIdentity", "<Other><Account>1</Account></Other>");
}

static void test_protocol__ec2_is_read(void **state)
{
    expect(*state, "ec2:DescribeSecurityGroups",
           answer(200, "<R><securityGroupInfo><item><groupId>sg-1</groupId><open>true</open></item>"
                       "<item><groupId>sg-2</groupId></item></securityGroupInfo></R>"),
           "{\"SecurityGroups\":[{\"GroupId\":\"sg-1\",\"Open\":true},{\"GroupId\":\"sg-2\"}]}");
}

static void test_protocol__policy_documents_are_decoded(void **state)
{
    expect(*state, "iam:GetRole",
           answer(200, "<R><GetRoleResult><Role><RoleName>r</RoleName><AssumeRolePolicyDocument>"
                       "%7B%22Version%22%3A%222012-10-17%22%7D</AssumeRolePolicyDocument></Role>"
                       "</GetRoleResult></R>"),
           "{\"Role\":{\"RoleName\":\"r\",\"AssumeRolePolicyDocument\":{\"Version\":"
           "\"2012-10-17\"}}}");
}

static void test_protocol__unreadable_answers_are_errors(void **state)
{
    static const char *const garbage[] = {
        "",        "<html><body>Sign in</body></html>",         "<R", "{\"a\":1}", "\xff\xfe",
        "<a></b>", "<!DOCTYPE x [<!ENTITY a \"b\">]><x>&a;</x>"};
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++)
        refuse(*state, "sts:GetCallerIdentity", garbage[i]);
    refuse(*state, "kms:DescribeKey", "<html></html>");
    refuse(*state, "kms:DescribeKey", "[]");
    refuse(*state, "kms:DescribeKey", "{\"KeyMetadata\":{\"Sizes\":{}}}");
    refuse(*state, "kms:DescribeKey", "{\"KeyMetadata\":{\"Blob\":\"*\"}}");
    refuse(*state, "s3:ListObjectsV2", "<R><KeyCount>many</KeyCount></R>");
}

/* ---- errors ---- */

static void test_protocol__json_errors_are_read(void **state)
{
    struct aws_service_error e =
        failure(*state, "kms:DescribeKey",
                answer(400, "{\"__type\":\"com.amazonaws.kms#NotFoundException\",\"message\":"
                            "\"no\\nkey\",\"KeyId\":\"k\"}"));
    assert_str(e.code, "NotFoundException");
    assert_str(e.message, "no key");
    assert_json(*state, e.members, "{\"message\":\"no\\nkey\",\"KeyId\":\"k\"}");
    assert_false(e.throttling);
    e = failure(*state, "kms:DescribeKey", answer(400, "{\"__type\":\"Slow\"}"));
    assert_true(e.throttling);
    assert_true(e.retryable);
}

static void test_protocol__rest_json_errors_are_in_the_header(void **state)
{
    static const struct net_header headers[] = {
        {STR("X-Amzn-ErrorType"), STR("TooManyRequestsException:http://x/y#z")},
        {STR("x-amzn-RequestId"), STR("r-1")}};
    struct aws_http_answer from = answer(429, "{\"Reason\":\"fast\",\"Message\":\"slow down\"}");
    from.headers = headers;
    from.header_count = 2;
    struct aws_service_error e = failure(*state, "lambda:PutConcurrency", from);
    assert_str(e.code, "TooManyRequestsException");
    assert_str(e.message, "slow down");
    assert_str(e.request_id, "r-1");
    assert_json(*state, e.members, "{\"Reason\":\"fast\"}");
}

static void test_protocol__legacy_codes_of_query_services_win(void **state)
{
    static const struct net_header headers[] = {
        {STR("x-amzn-query-error"), STR("AWS.Legacy.NotFound;Sender")}};
    struct aws_http_answer from = answer(400, "{\"__type\":\"x#NotFoundException\"}");
    from.headers = headers;
    from.header_count = 1;
    struct aws_service_error e = failure(*state, "kms:DescribeKey", from);
    assert_str(e.code, "AWS.Legacy.NotFound");
    assert_str(e.type, "Sender");
    assert_str(e.shape->name, "NotFoundException");
}

static void test_protocol__xml_errors_are_read_in_all_three_forms(void **state)
{
    struct aws_service_error e =
        failure(*state, "s3:GetBucketTagging",
                answer(404, "<Error><Code>NoSuchTagSet</Code><Message>none</Message><RequestId>r"
                            "</RequestId></Error>"));
    assert_str(e.code, "NoSuchTagSet");
    assert_str(e.message, "none");
    assert_str(e.request_id, "r");
    e = failure(*state, "ec2:DescribeSecurityGroups",
                answer(400, "<Response><Errors><Error><Code>InvalidGroup.NotFound</Code><Message>m"
                            "</Message></Error></Errors><RequestID>q</RequestID></Response>"));
    assert_str(e.code, "InvalidGroup.NotFound");
    assert_str(e.request_id, "q");
    e = failure(*state, "sts:AssumeRole",
                answer(400,
                       "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>ExpiredToken"
                       "</Code><message>old</message></Error></ErrorResponse>"));
    assert_str(e.code, "ExpiredToken");
    assert_str(e.type, "Sender");
    assert_str(e.shape->name, "ExpiredTokenException");
    assert_json(*state, e.members, "{\"message\":\"old\"}");
}

static void test_protocol__a_success_with_an_error_inside_is_an_error(void **state)
{
    struct aws_service_error e = failure(
        *state, "s3:CopyObject",
        answer(200, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InternalError</Code>"
                    "<Message>again</Message></Error>"));
    assert_str(e.code, "InternalError");
    struct aws_http_answer object = answer(200, "<Error><Code>text of an object</Code></Error>");
    assert_true(aws_answer_is_ok(fixture_operation(*state, "s3:GetObject"), &object));
    expect(*state, "s3:CopyObject",
           answer(200, "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"),
           "{\"CopyObjectResult\":{\"ETag\":\"e\"}}");
}

static void test_protocol__any_body_gives_a_code(void **state)
{
    static const char *const bodies[] = {"",
                                         "<html><body>busy</body></html>",
                                         "{",
                                         "<",
                                         "\xff\xfe",
                                         "<Error></Error>",
                                         "[]",
                                         "null",
                                         "{\"message\":{}}"};
    static const char *const operations[] = {"s3:GetBucketTagging", "kms:DescribeKey",
                                             "sts:AssumeRole", "lambda:PutConcurrency"};
    for (size_t b = 0; b < sizeof bodies / sizeof *bodies; b++) {
        for (size_t o = 0; o < sizeof operations / sizeof *operations; o++) {
            struct aws_service_error e = failure(*state, operations[o], answer(503, bodies[b]));
            assert_str(e.code, "503");
            assert_str(e.message, "Service Unavailable");
        }
    }
}

static void test_protocol__long_messages_are_cut_at_a_character(void **state)
{
    struct fixture *f = *state;
    struct buf body = {.arena = &f->arena};
    buf_add_cstr(&body, "{\"__type\":\"X\",\"message\":\"a");
    for (int i = 0; i < 3000; i++)
        buf_add_cstr(&body, "\u00fc");
    buf_add_cstr(&body, "\"}");
    struct aws_service_error e = failure(f, "kms:DescribeKey", answer(400, buf_str(&body).ptr));
    assert_int_equal(e.message.len, 4095);
    assert_true(str_is_utf8(e.message));
}

/* ---- CBOR ---- */

static void test_protocol__cbor_goes_out_and_comes_back(void **state)
{
    static const char *const inputs[] = {
        "{}",
        "{\"Text\":\"\u00fc\",\"Long\":-9223372036854775808,\"Double\":-1.5,\"Flag\":true}",
        "{\"List\":[0,23,24,255,256,65535,65536,4294967295,4294967296,9223372036854775807,-1,-24,-"
        "25,"
        "null]}",
        "{\"Float\":2.5,\"Map\":{\"a\":\"b\",\"\":\"\"},\"Inner\":{\"Inner\":{\"Text\":\"x\"}}}",
    };
    struct fixture *f = *state;
    const struct aws_operation *op = fixture_operation(f, "cborly:Echo");
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        struct aws_http_request request;
        struct error err = {0};
        if (!aws_serialize(op, fixture_json(f, inputs[i]), &f->arena, &request, &err))
            fail_msg("%s: %s", inputs[i], err.message);
        assert_str(request.path, "/service/Cborly/operation/Echo");
        struct aws_http_answer back = {.status = 200, .body = request.body};
        expect(f, "cborly:Echo", back, inputs[i]);
    }
}

static void test_protocol__cbor_times_and_bytes_are_their_own(void **state)
{
    struct fixture *f = *state;
    struct aws_http_request request;
    assert_true(
        aws_serialize(fixture_operation(f, "cborly:Echo"),
                      fixture_json(f, "{\"Blob\":\"hi\",\"Time\":\"2026-01-02T03:04:05Z\"}"),
                      &f->arena, &request, NULL));
    static const char wanted[] = "\xA2\x64"
                                 "Blob\x42hi\x64Time\xC1\x1A\x69\x57\x35\xA5";
    assert_int_equal(request.body.len, sizeof wanted - 1);
    assert_memory_equal(request.body.ptr, wanted, sizeof wanted - 1);
    struct aws_http_answer back = {.status = 200, .body = request.body};
    expect(f, "cborly:Echo", back, "{\"Blob\":\"aGk=\",\"Time\":\"2026-01-02T03:04:05Z\"}");
    assert_true(aws_serialize(fixture_operation(f, "cborly:Ping"), value_null(), &f->arena,
                              &request, NULL));
    assert_int_equal(request.body.len, 0);
}

static void test_protocol__malformed_cbor_is_refused(void **state)
{
    static const char *const garbage[] = {"\xBF",
                                          "\xA1",
                                          "\xA1\x01\x01",
                                          "\x9F\xFF",
                                          "\xA1\x61\xFF\x01",
                                          "{}",
                                          "\xA1\x64Text\x7B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
                                          "\xBF\xFF\x01"};
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++)
        refuse(*state, "cborly:Echo", garbage[i]);
    struct aws_service_error e =
        failure(*state, "cborly:Echo", answer(503, "\xA2\x66__type\x68x#BusyEx\x67message\x62no"));
    assert_str(e.code, "BusyEx");
    assert_str(e.message, "no");
}

/* ---- XML ---- */

static bool parses(struct fixture *f, struct str text, const char *code)
{
    struct xml_node *root = NULL;
    struct error err = {0};
    bool ok = xml_parse(&f->arena, text, &root, &err);
    if (!ok)
        assert_string_equal(err.code, code);
    return ok;
}

static struct str nested(struct fixture *f, unsigned depth)
{
    struct buf text = {.arena = &f->arena};
    for (unsigned i = 0; i < depth; i++)
        buf_add_cstr(&text, "<a>");
    for (unsigned i = 0; i < depth; i++)
        buf_add_cstr(&text, "</a>");
    return buf_str(&text);
}

static void test_protocol__xml_depth_is_bounded(void **state)
{
    assert_true(parses(*state, nested(*state, LIMIT_JSON_DEPTH), NULL));
    assert_false(parses(*state, nested(*state, LIMIT_JSON_DEPTH + 1), "A0184"));
}

static void test_protocol__doctypes_are_refused(void **state)
{
    assert_false(parses(*state, STR("<!DOCTYPE a><a/>"), "A0184"));
    assert_false(parses(*state, STR("<a>&b;</a>"), "A0183"));
    assert_false(parses(*state, STR(""), "A0183"));
}

static void test_protocol__xml_keeps_text_and_drops_layout(void **state)
{
    struct fixture *f = *state;
    struct xml_node *root;
    struct error err = {0};
    assert_true(xml_parse(
        &f->arena, STR("<x:a p:q='1' xmlns:p='u'>\n <b> t<!-- c --><![CDATA[<]]> </b>\n</x:a>"),
        &root, &err));
    assert_str(root->name, "a");
    assert_int_equal(root->text.len, 0);
    assert_int_equal(root->attribute_count, 1);
    assert_str(root->attributes[0].name, "q");
    assert_str(xml_child_text(root, STR("b")), " t< ");
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_protocol__##name, fixture_start, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rest_xml_is_read),
        TEST(flattened_lists_are_collected),
        TEST(bucket_location_is_a_bare_element),
        TEST(headers_and_streams_are_read),
        TEST(rest_json_is_read),
        TEST(json_is_read),
        TEST(query_unwraps_its_result),
        TEST(ec2_is_read),
        TEST(policy_documents_are_decoded),
        TEST(unreadable_answers_are_errors),
        TEST(json_errors_are_read),
        TEST(rest_json_errors_are_in_the_header),
        TEST(legacy_codes_of_query_services_win),
        TEST(xml_errors_are_read_in_all_three_forms),
        TEST(a_success_with_an_error_inside_is_an_error),
        TEST(any_body_gives_a_code),
        TEST(long_messages_are_cut_at_a_character),
        TEST(cbor_goes_out_and_comes_back),
        TEST(cbor_times_and_bytes_are_their_own),
        TEST(malformed_cbor_is_refused),
        TEST(xml_depth_is_bounded),
        TEST(doctypes_are_refused),
        TEST(xml_keeps_text_and_drops_layout),
    };
    cmocka_set_message_output(CM_OUTPUT_STDOUT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
