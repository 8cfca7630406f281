// SPDX-License-Identifier: Apache-2.0
#include "../cmocka_all.h"

#include "base/hash.h"
#include "base/map.h"

#include <stdio.h>

static void check_hex(struct sha256 hash, const char *hex)
{
    char text[65];
    hash_hex(hash.bytes, sizeof hash.bytes, text);
    assert_string_equal(text, hex);
}

/* FIPS 180-4's examples. */
static void test_hash__sha256_of_known_texts(void **state)
{
    (void)state;
    check_hex(hash_sha256("", 0),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_hex(hash_sha256("abc", 3),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    struct str pieces[] = {STR("a"), STR(""), STR("bc")};
    check_hex(hash_sha256_pieces(pieces, 3),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* RFC 4231, cases 2 and 6. */
static void test_hash__hmac_of_known_keys(void **state)
{
    (void)state;
    char long_key[131];
    memset(long_key, 0xaa, sizeof long_key);
    check_hex(hash_hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?")),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    check_hex(hash_hmac_sha256((struct str){long_key, sizeof long_key},
                               STR("Test Using Larger Than Block-Size Key - Hash Key First")),
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_hash__hex_and_back(void **state)
{
    (void)state;
    unsigned char bytes[3];
    assert_true(hash_from_hex(STR("00fFa9"), bytes, 3));
    assert_memory_equal(bytes, "\x00\xff\xa9", 3);
    assert_false(hash_from_hex(STR("00ff"), bytes, 3));
    assert_false(hash_from_hex(STR("00ffg9"), bytes, 3));
}

/* RFC 4648, section 10. */
static void test_hash__base64_and_back(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    static const char *const pairs[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct str back, text = hash_base64(&arena, str_from(pairs[i][0]));
        assert_true(str_is(text, pairs[i][1]));
        assert_true(hash_from_base64(&arena, text, &back));
        assert_true(str_is(back, pairs[i][0]));
    }
    static const char *const bad[] = {
        "Zg=", "Zg", "Z===", "Zh==", "Zm9=", "Zg==Zg==", "Zm 9", "Zm9-"};
    struct str back;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(hash_from_base64(&arena, str_from(bad[i]), &back));
}

static void test_hash__secrets_compare_by_content(void **state)
{
    (void)state;
    assert_true(hash_equal_secret(STR("token"), STR("token")));
    assert_false(hash_equal_secret(STR("token"), STR("tokem")));
    assert_false(hash_equal_secret(STR("token"), STR("tok")));
    char secret[] = "secret";
    hash_wipe(secret, sizeof secret);
    for (size_t i = 0; i < sizeof secret; i++)
        assert_int_equal(secret[i], 0);
}

static void test_map__keeps_many_keys_and_replaces(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct map map = {.arena = &arena};
    static int values[1000];
    assert_null(map_get(&map, STR("none")));
    for (int i = 0; i < 1000; i++)
        assert_true(map_set(&map, str_from(arena_printf(&arena, "key-%d", i)), &values[i]));
    assert_int_equal(map.count, 1000);
    assert_true(map_set(&map, STR("key-7"), &values[0]));
    assert_int_equal(map.count, 1000);
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "key-%d", i);
        assert_ptr_equal(map_get(&map, str_from(key)), i == 7 ? &values[0] : &values[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash__sha256_of_known_texts),
        cmocka_unit_test(test_hash__hmac_of_known_keys),
        cmocka_unit_test(test_hash__hex_and_back),
        cmocka_unit_test(test_hash__base64_and_back),
        cmocka_unit_test(test_hash__secrets_compare_by_content),
        cmocka_unit_test(test_map__keeps_many_keys_and_replaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
