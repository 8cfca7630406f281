// SPDX-License-Identifier: Apache-2.0
/* Sealed texts and key files. */
#include "base/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cmocka_all.h"

#define OLD_LINE "v1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
#define NEW_LINE "v1 //79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=\n"
#define KMS_LINE "kms arn:aws:kms:eu-west-1:111122223333:key/x d3JhcHBlZA==\n"

static char path[64];

static void write_key_file(const char *text, mode_t mode)
{
    snprintf(path, sizeof path, "/tmp/rectify-seal-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static bool reverse(void *ctx, struct str arn, struct str wrapped, unsigned char ret[SEAL_KEY_SIZE],
                    struct error *err)
{
    if (!str_is(wrapped, "wrapped") || !str_starts(arn, STR("arn:aws:kms:")))
        return error_set(err, "K0006", "no");
    memset(ret, *(int *)ctx, SEAL_KEY_SIZE);
    return true;
}

static bool load(const char *text, mode_t mode, struct seal_keys *keys, struct error *err)
{
    int filler = 7;
    write_key_file(text, mode);
    bool ok = seal_keys_load(path, reverse, &filler, keys, err);
    unlink(path);
    return ok;
}

static void test_seal__what_was_sealed_opens_and_does_not_show(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct seal_keys keys;
    struct error err;
    struct str first, second, text;
    const struct clock *clock = clock_system();
    assert_true(load(NEW_LINE OLD_LINE, 0600, &keys, &err));
    assert_true(seal_close(&keys, clock, STR("r1 reads"), STR("secret"), &arena, &first, &err));
    assert_true(seal_close(&keys, clock, STR("r1 reads"), STR("secret"), &arena, &second, &err));
    assert_true(seal_is_sealed(first));
    assert_false(str_eq(first, second)); // another nonce
    assert_true(str_find(first, STR("secret")) == SIZE_MAX);
    assert_true(seal_open(&keys, STR("r1 reads"), first, &arena, &text, &err));
    assert_true(str_is(text, "secret"));
    assert_true(seal_close(&keys, clock, STR("x"), STR(""), &arena, &first, &err));
    assert_true(seal_open(&keys, STR("x"), first, &arena, &text, &err));
    assert_int_equal(text.len, 0);
}

static void test_seal__a_changed_or_moved_text_does_not_open(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct seal_keys keys;
    struct error err;
    struct str sealed, text;
    assert_true(load(NEW_LINE, 0600, &keys, &err));
    assert_true(
        seal_close(&keys, clock_system(), STR("r1 reads"), STR("secret"), &arena, &sealed, &err));
    assert_false(seal_open(&keys, STR("r2 reads"), sealed, &arena, &text, &err));
    assert_string_equal(err.code, "K0004");
    for (size_t i = 0; i < sealed.len; i++) {
        char *changed = arena_printf(&arena, "%.*s", STR_FMT(sealed));
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        if (i < 10) // the prefix: not a sealed text at all
            assert_false(seal_is_sealed(str_from(changed)));
        else
            assert_false(seal_open(&keys, STR("r1 reads"), str_from(changed), &arena, &text, &err));
        assert_false(seal_open(&keys, STR("r1 reads"), str_sub(sealed, 0, i), &arena, &text, &err));
    }
}

static void test_seal__older_keys_open_and_missing_ones_are_named(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct seal_keys old, both, other;
    struct error err;
    struct str sealed, text;
    assert_true(load(OLD_LINE, 0600, &old, &err));
    assert_true(load("# newest first\n\n" NEW_LINE OLD_LINE, 0400, &both, &err));
    assert_true(load(KMS_LINE, 0600, &other, &err));
    assert_int_equal(both.count, 2);
    assert_int_equal(other.keys[0].bytes[31], 7);
    assert_true(seal_close(&old, clock_system(), STR("c"), STR("t"), &arena, &sealed, &err));
    assert_true(seal_open(&both, STR("c"), sealed, &arena, &text, &err));
    assert_false(seal_open(&other, STR("c"), sealed, &arena, &text, &err));
    assert_string_equal(err.code, "K0005");
    assert_non_null(strstr(err.message, old.keys[0].id));
    assert_false(seal_open(NULL, STR("c"), sealed, &arena, &text, &err));
    assert_string_equal(err.code, "K0005");
}

static void test_seal__key_files_that_are_none(void **state)
{
    (void)state;
    struct seal_keys keys;
    struct error err;
    char many[(SEAL_KEYS_MAX + 1) * 64] = "";
    for (int i = 0; i <= SEAL_KEYS_MAX; i++)
        strcat(many, OLD_LINE);
    static const char *const bad[] = {"",
                                      "# none\n",
                                      "v1\n",
                                      "v1 AAEC\n",
                                      "v2 AAEC\n",
                                      "AAEC\n",
                                      "kms d3JhcHBlZA==\n",
                                      "kms arn:x d3JhcHBlZA\n",
                                      "v1 !!!!\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(load(bad[i], 0600, &keys, &err));
        assert_string_equal(err.code, "K0002");
    }
    assert_false(load(many, 0600, &keys, &err));
    assert_string_equal(err.code, "K0002");
    assert_false(load(OLD_LINE, 0640, &keys, &err));
    assert_string_equal(err.code, "K0001");
    assert_non_null(strstr(err.hint, "chmod 600"));
    assert_false(load("kms arn:x d3JhcHBlZA==\n", 0600, &keys, &err));
    assert_string_equal(err.code, "K0006");
    assert_false(seal_keys_load("/nonexistent/key", NULL, NULL, &keys, &err));
    assert_string_equal(err.code, "K0001");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seal__what_was_sealed_opens_and_does_not_show),
        cmocka_unit_test(test_seal__a_changed_or_moved_text_does_not_open),
        cmocka_unit_test(test_seal__older_keys_open_and_missing_ones_are_named),
        cmocka_unit_test(test_seal__key_files_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
