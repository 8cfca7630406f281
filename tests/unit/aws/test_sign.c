// SPDX-License-Identifier: Apache-2.0
/* Signatures: a published example, and what must not change or must change them. */
#include "../cmocka_all.h"

#include "aws/sign.h"

static const struct aws_credentials example = {STR("AKIAIOSFODNN7EXAMPLE"),
                                               STR("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
                                               {0},
                                               INT64_MAX,
                                               {0}};

static const struct net_header s3_headers[] = {
    {STR("Host"), STR("examplebucket.s3.amazonaws.com")},
    {STR("Range"), STR("bytes=0-9")},
    {STR("x-amz-content-sha256"), STR(AWS_SHA256_EMPTY)},
    {STR("x-amz-date"), STR("20130524T000000Z")},
    {STR("User-Agent"), STR("not signed")},
    {STR("Authorization"), STR("an old one")},
};

static struct aws_sign_input s3_example(void)
{
    return (struct aws_sign_input){.method = STR("GET"),
                                   .path = STR("/test.txt"),
                                   .headers = s3_headers,
                                   .header_count = 6,
                                   .payload_hash = STR(AWS_SHA256_EMPTY),
                                   .credentials = &example,
                                   .date = "20130524T000000Z",
                                   .region = STR("us-east-1"),
                                   .service = STR("s3")};
}

static void test_sign__the_published_s3_example_comes_out(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct aws_sign_input input = s3_example();
    struct aws_signature made;
    assert_true(aws_sign_headers(&input, &arena, &made));
    assert_string_equal(made.signature,
                        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    assert_true(str_is(made.signed_headers, "host;range;x-amz-content-sha256;x-amz-date"));
}

static void test_sign__cached_keys_give_the_same_and_never_anothers(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct aws_sign_input input = s3_example();
    struct aws_key_cache *keys = aws_key_cache_create();
    struct aws_credentials other = example;
    other.secret_key = STR("another secret of the same access key");
    assert_non_null(keys);
    for (int round = 0; round < 3; round++) {
        struct aws_signature plain, cached;
        input.credentials = round == 1 ? &other : &example;
        input.keys = NULL;
        assert_true(aws_sign_headers(&input, &arena, &plain));
        input.keys = keys;
        assert_true(aws_sign_headers(&input, &arena, &cached));
        assert_string_equal(plain.signature, cached.signature);
    }
    aws_key_cache_destroy(keys);
}

static void test_sign__paths_are_normalised_and_encoded_again_only_where_wanted(void **state)
{
    (void)state;
    static const struct {
        const char *path, *normal, *plain;
    } cases[] = {
        {"", "/", "/"},
        {"/a/../b", "/b", "/a/../b"},
        {"//a//b/", "/a/b/", "//a//b/"},
        {"/a%20b", "/a%2520b", "/a%20b"},
        {"/a/.", "/a/", "/a/."},
        {"/..", "/", "/.."},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int normal = 0; normal < 2; normal++) {
            struct arena arena ARENA_AUTO = {0};
            struct aws_sign_input input = s3_example();
            struct aws_signature made;
            input.path = str_from(cases[i].path);
            input.normalize_path = input.double_encode_path = normal;
            assert_true(aws_sign_headers(&input, &arena, &made));
            struct str rest = made.canonical_request;
            (void)str_cut(&rest, '\n');
            assert_true(str_is(str_cut(&rest, '\n'), normal ? cases[i].normal : cases[i].plain));
        }
    }
}

static void test_sign__queries_are_sorted_by_encoded_name_and_value(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct aws_sign_input input = s3_example();
    struct aws_signature made;
    input.query = STR("b=2&a=z&tagging&a=%2f&A=1&&c=a+b");
    assert_true(aws_sign_headers(&input, &arena, &made));
    struct str rest = made.canonical_request;
    (void)str_cut(&rest, '\n');
    (void)str_cut(&rest, '\n');
    assert_true(str_is(str_cut(&rest, '\n'), "A=1&a=%2F&a=z&b=2&c=a%2Bb&tagging="));
}

static void test_sign__dates_are_written_in_utc(void **state)
{
    (void)state;
    char text[AWS_SIGN_DATE_SIZE];
    aws_sign_date(1440938160000, text);
    assert_string_equal(text, "20150830T123600Z");
    aws_sign_date(951782399999, text);
    assert_string_equal(text, "20000228T235959Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign__the_published_s3_example_comes_out),
        cmocka_unit_test(test_sign__cached_keys_give_the_same_and_never_anothers),
        cmocka_unit_test(test_sign__paths_are_normalised_and_encoded_again_only_where_wanted),
        cmocka_unit_test(test_sign__queries_are_sorted_by_encoded_name_and_value),
        cmocka_unit_test(test_sign__dates_are_written_in_utc),
    };
    return cmocka_run_group_tests_name("sign", tests, NULL, NULL);
}
