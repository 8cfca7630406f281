// SPDX-License-Identifier: Apache-2.0
/* Requests: each protocol's form, what is refused, what every client adds. */
#include "models_fixture.h"

#include <stdio.h>
#include <zlib.h>

static struct aws_http_request serialize(struct fixture *f, const char *operation,
                                         const char *input)
{
    struct aws_http_request request = {0};
    struct error err = {0};
    if (!aws_serialize(fixture_operation(f, operation), fixture_json(f, input), &f->arena, &request,
                       &err))
        fail_msg("%s: %s", input, err.message);
    return request;
}

static void refuse(struct fixture *f, const char *operation, const char *input, const char *code)
{
    struct aws_http_request request = {.method = STR("untouched")};
    struct error err = {0};
    assert_false(aws_serialize(fixture_operation(f, operation), fixture_json(f, input), &f->arena,
                               &request, &err));
    if (!err.code || strcmp(err.code, code) != 0)
        fail_msg("%s: got %s (%s), wanted %s", input, err.code, err.message, code);
    assert_str(request.method, "untouched");
}

static struct str header(const struct aws_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (str_eq_nocase(request->headers[i].name, str_from(name)))
            return request->headers[i].value;
    return (struct str){0};
}

static void test_protocol__rest_xml_puts_the_payload_in_the_body(void **state)
{
    struct aws_http_request r =
        serialize(*state, "s3:PutBucketTagging",
                  "{\"Bucket\":\"my-bucket\",\"ChecksumAlgorithm\":\"CRC32\",\"Tagging\":"
                  "{\"TagSet\":[{\"Key\":\"a<b\",\"Value\":\"\"},{\"Key\":\"c\",\"Value\":"
                  "\"d\\r\"}]}}");
    assert_str(r.method, "PUT");
    assert_str(r.path, "/my-bucket");
    assert_str(r.query, "tagging");
    assert_int_equal(r.bucket_len, 10);
    assert_str(header(&r, "x-amz-sdk-checksum-algorithm"), "CRC32");
    assert_str(r.body, "<Tagging xmlns=\"http://s3.example/doc/\"><TagSet><Tag><Key>a&lt;b</Key>"
                       "<Value /></Tag><Tag><Key>c</Key><Value>d&#13;</Value></Tag></TagSet>"
                       "</Tagging>");
}

static void test_protocol__an_empty_list_is_an_empty_element(void **state)
{
    struct aws_http_request r =
        serialize(*state, "s3:PutBucketTagging", "{\"Bucket\":\"b\",\"Tagging\":{\"TagSet\":[]}}");
    assert_str(r.body, "<Tagging xmlns=\"http://s3.example/doc/\"><TagSet /></Tagging>");
}

static void test_protocol__greedy_labels_keep_slashes(void **state)
{
    struct aws_http_request r =
        serialize(*state, "s3:GetObject", "{\"Bucket\":\"b\",\"Key\":\"../a b/\u00fc//x+y=z\"}");
    assert_str(r.path, "/b/../a%20b/%C3%BC//x%2By%3Dz");
    assert_int_equal(r.bucket_len, 2);
}

static void test_protocol__missing_or_empty_path_members_are_refused(void **state)
{
    refuse(*state, "s3:GetObject", "{\"Bucket\":\"b\"}", "A0153");
    refuse(*state, "s3:GetObject", "{\"Bucket\":\"\",\"Key\":\"k\"}", "A0153");
}

static void test_protocol__streams_are_bodies(void **state)
{
    struct aws_http_request r = serialize(
        *state, "s3:PutObject",
        "{\"Bucket\":\"b\",\"Key\":\"k\",\"Body\":\"bytes\",\"Metadata\":{\"Owner\":\"me\"}}");
    assert_str(r.body, "bytes");
    assert_true(r.body_is_stream);
    assert_str(header(&r, "x-amz-meta-owner"), "me");
}

static void test_protocol__rest_json_places_members(void **state)
{
    struct aws_http_request r =
        serialize(*state, "lambda:PutConcurrency",
                  "{\"FunctionName\":\"f:1\",\"Zone\":\"z1\",\"Reserved\":7,\"Names\":[\"a b\","
                  "\"c\"],\"List\":[\"x\",\"y,z\",\"q\\\"\"]}");
    assert_str(r.path, "/functions/f%3A1/concurrency");
    assert_str(r.query, "zone=z1&name=a%20b&name=c");
    assert_str(r.body, "{\"reserved\": 7}");
    assert_str(header(&r, "content-type"), "application/json");
    assert_str(header(&r, "x-list"), "x,\"y,z\",\"q\\\"\"");
    assert_str(r.host_prefix, "z1.data.");
}

static void test_protocol__rest_json_sends_an_empty_object(void **state)
{
    struct aws_http_request r =
        serialize(*state, "lambda:PutConcurrency", "{\"FunctionName\":\"f\",\"Zone\":\"z\"}");
    assert_str(r.body, "{}");
}

static void test_protocol__host_labels_are_checked(void **state)
{
    refuse(*state, "lambda:PutConcurrency", "{\"FunctionName\":\"f\",\"Zone\":\"evil.com/\"}",
           "A0153");
    refuse(*state, "lambda:PutConcurrency", "{\"FunctionName\":\"f\"}", "A0153");
}

static void test_protocol__json_has_its_target(void **state)
{
    struct aws_http_request r =
        serialize(*state, "kms:CreateGrant",
                  "{\"Token\":\"t\",\"Metadata\":{\"CreationDate\":\"2026-01-02T03:04:05Z\","
                  "\"Blob\":\"hi\",\"Sizes\":[9223372036854775807],\"Labels\":{\"k\":\"v\"},"
                  "\"Any\":{\"x\":[1,null]},\"Ratio\":\"NaN\",\"Enabled\":false,\"KeyId\":null}}");
    assert_str(header(&r, "X-Amz-Target"), "TrentService.CreateGrant");
    assert_str(header(&r, "Content-Type"), "application/x-amz-json-1.1");
    assert_str(r.body, "{\"Token\": \"t\", \"Metadata\": {\"CreationDate\": 1767323045, \"Blob\": "
                       "\"aGk=\", \"Sizes\": [9223372036854775807], \"Labels\": {\"k\": \"v\"}, "
                       "\"Any\": {\"x\":[1,null]}, \"Ratio\": \"NaN\", \"Enabled\": false}}");
    assert_str(serialize(*state, "kms:Ping", "{}").body, "{}");
}

static void test_protocol__query_numbers_its_lists(void **state)
{
    struct aws_http_request r = serialize(
        *state, "sts:AssumeRole",
        "{\"RoleArn\":\"arn:aws:iam::1:role/a b\",\"PolicyArns\":[{\"arn\":\"x\"},{\"arn\":\"y\"}],"
        "\"Tags\":[],\"DurationSeconds\":900}");
    assert_str(r.body, "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole"
                       "%2Fa%20b&PolicyArns.member.1.arn=x&PolicyArns.member.2.arn=y&Tags=&"
                       "DurationSeconds=900");
    assert_str(r.path, "/");
    assert_str(serialize(*state, "sts:GetCallerIdentity", "{}").body,
               "Action=GetCallerIdentity&Version=2011-06-15");
}

static void test_protocol__ec2_names_its_lists_after_themselves(void **state)
{
    struct aws_http_request r =
        serialize(*state, "ec2:DescribeSecurityGroups",
                  "{\"GroupIds\":[\"sg-1\",\"sg-2\"],\"Filters\":[{\"Name\":\"vpc-id\","
                  "\"Values\":[\"v\"]}],\"MaxResults\":5}");
    assert_str(r.body, "Action=DescribeSecurityGroups&Version=2016-11-15&GroupId.1=sg-1&"
                       "GroupId.2=sg-2&Filter.1.Name=vpc-id&Filter.1.Value.1=v&MaxResults=5");
    assert_str(serialize(*state, "ec2:RunInstances", "{\"DryRun\":true}").body,
               "Action=RunInstances&Version=2016-11-15&DryRun=true");
}

static void test_protocol__user_data_is_sent_in_base64(void **state)
{
    assert_str(serialize(*state, "ec2:RunInstances", "{\"UserData\":\"#!/bin/sh\"}").body,
               "Action=RunInstances&Version=2016-11-15&UserData=IyEvYmluL3No");
}

static void test_protocol__copy_sources_are_encoded_but_for_the_version(void **state)
{
    struct aws_http_request r =
        serialize(*state, "s3:CopyObject",
                  "{\"Bucket\":\"b\",\"Key\":\"k\",\"CopySource\":\"b/a b?versionId=v+1\"}");
    assert_str(header(&r, "x-amz-copy-source"), "b/a%20b?versionId=v+1");
}

static void test_protocol__listings_ask_for_encoded_keys(void **state)
{
    assert_str(serialize(*state, "s3:ListObjectsV2", "{\"Bucket\":\"b\"}").query,
               "list-type=2&encoding-type=url");
}

static void test_protocol__wrong_inputs_are_refused(void **state)
{
    refuse(*state, "kms:DescribeKey", "{\"KeyIdd\":\"k\"}", "A0151");
    refuse(*state, "kms:DescribeKey", "{\"KeyId\":1}", "A0152");
    refuse(*state, "kms:DescribeKey", "[]", "A0152");
    refuse(*state, "kms:Ping", "{\"a\":1}", "A0151");
    refuse(*state, "sts:AssumeRole", "{\"PolicyArns\":{}}", "A0152");
    refuse(*state, "sts:AssumeRole", "{\"DurationSeconds\":\"900\"}", "A0152");
    refuse(*state, "s3:PutBucketTagging", "{\"Bucket\":\"b\",\"Tagging\":{\"TagSet\":[1]}}",
           "A0152");
    refuse(*state, "s3:SelectObjectContent", "{\"Bucket\":\"b\"}", "A0156");
}

static void test_protocol__timestamps_take_every_accepted_form(void **state)
{
    static const char *const forms[] = {"1767323045", "\"2026-01-02T03:04:05Z\"",
                                        "\"2026-01-02T04:04:05+01:00\"",
                                        "\"Fri, 02 Jan 2026 03:04:05 GMT\"", "1767323045.0"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char *text = arena_printf(&f->arena, "{\"Metadata\":{\"CreationDate\":%s}}", forms[i]);
        assert_str(serialize(f, "kms:CreateGrant", text).body,
                   "{\"Metadata\": {\"CreationDate\": 1767323045}}");
    }
    refuse(f, "kms:CreateGrant", "{\"Metadata\":{\"CreationDate\":\"2026-13-02\"}}", "A0152");
}

static void test_protocol__a_header_set_twice_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct aws_http_request request = {0};
    assert_true(aws_request_set_header(&f->arena, &request, STR("A"), STR("1")));
    assert_true(aws_request_set_header(&f->arena, &request, STR("a"), STR("2")));
    assert_int_equal(request.header_count, 1);
    assert_str(header(&request, "A"), "2");
}

/* Only where the model says so, and from AWS_GZIP_BYTES_MIN on. */
static void test_protocol__a_large_body_goes_compressed(void **state)
{
    struct fixture *f = *state;
    char text[AWS_GZIP_BYTES_MIN + 1] = {0}, input[sizeof text + 16], back[2 * sizeof text];
    memset(text, 'a', sizeof text - 1);
    snprintf(input, sizeof input, "{\"Text\":\"%s\"}", text);
    struct aws_http_request large = serialize(f, "cborly:Echo", input);
    struct aws_http_request small = serialize(f, "cborly:Echo", "{\"Text\":\"a\"}");
    assert_str(header(&large, "Content-Encoding"), "gzip");
    assert_null(header(&small, "Content-Encoding").ptr);
    assert_in_range(large.body.len, 20, AWS_GZIP_BYTES_MIN / 10);

    z_stream stream = {.next_in = (Bytef *)(uintptr_t)large.body.ptr,
                       .avail_in = (uInt)large.body.len,
                       .next_out = (Bytef *)back,
                       .avail_out = sizeof back};
    assert_int_equal(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    struct str whole = {back, stream.total_out};
    assert_true(str_find(whole, str_from(text)) != SIZE_MAX);
    assert_true(whole.len >= AWS_GZIP_BYTES_MIN);
    inflateEnd(&stream);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_protocol__##name, fixture_start, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rest_xml_puts_the_payload_in_the_body),
        TEST(an_empty_list_is_an_empty_element),
        TEST(greedy_labels_keep_slashes),
        TEST(missing_or_empty_path_members_are_refused),
        TEST(streams_are_bodies),
        TEST(rest_json_places_members),
        TEST(rest_json_sends_an_empty_object),
        TEST(host_labels_are_checked),
        TEST(json_has_its_target),
        TEST(query_numbers_its_lists),
        TEST(ec2_names_its_lists_after_themselves),
        TEST(user_data_is_sent_in_base64),
        TEST(copy_sources_are_encoded_but_for_the_version),
        TEST(listings_ask_for_encoded_keys),
        TEST(wrong_inputs_are_refused),
        TEST(timestamps_take_every_accepted_form),
        TEST(a_header_set_twice_is_replaced),
        TEST(a_large_body_goes_compressed),
    };
    cmocka_set_message_output(CM_OUTPUT_STDOUT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
