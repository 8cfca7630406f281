// SPDX-License-Identifier: Apache-2.0
/* The verifier against a log that somebody changed: every kind of change at several leaves. And
 * what is kept elsewhere: checkpoints and export. */
#include "../store/store_help.h"

#include <sqlite3.h>

#include "audit/audit.h"
#include "tree/tree.h"

#define LEAVES 300

struct fixture {
    struct test_time time;
    char folder[256], path[300];
    struct arena arena;
    struct error err;
    struct store_checkpoint early, head; // at 100 leaves, at the end
};

static void write_log(struct fixture *f)
{
    struct store *store = open_or_fail(f->path, &f->time.clock);
    for (int i = 0; i < LEAVES; i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"number\":%d,\"text\":\"leaf\"}", i);
        assert_int_equal(store_record(store, STR("k"), str_from(body), &f->err), STORE_OK);
        if (i == 99)
            assert_int_equal(store_checkpoint(store, &f->early, &f->err), STORE_OK);
    }
    assert_int_equal(store_checkpoint(store, &f->head, &f->err), STORE_OK);
    store_close(store);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    test_time_init(&f->time);
    test_folder(f->folder, sizeof f->folder);
    snprintf(f->path, sizeof f->path, "%s/s.db", f->folder);
    write_log(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    test_folder_remove(f->folder);
    arena_finish(&f->arena);
    free(f);
    return 0;
}

static struct audit_result verify(struct fixture *f, const struct store_checkpoint *earlier)
{
    struct audit_result result;
    struct store *store = store_open_to_look(f->path, &f->time.clock, &f->err);
    if (!store)
        fail_msg("%s %s", f->err.code, f->err.message);
    bool read = audit_verify(store, earlier, NULL, NULL, &result, &f->err);
    if (!read)
        fail_msg("%s %s", f->err.code, f->err.message);
    store_close(store);
    return result;
}

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    static char block[1 << 16];
    size_t got;
    assert_true(in && out);
    while ((got = fread(block, 1, sizeof block, in)) > 0)
        assert_int_equal(fwrite(block, 1, got, out), got);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

/* Changes the file by hand, gives what the verifier says, and puts it back. */
static struct audit_result tampered(struct fixture *f, const struct store_checkpoint *earlier,
                                    const char *change)
{
    sqlite3 *db;
    char *problem = NULL;
    char copy[320];
    snprintf(copy, sizeof copy, "%s/copy", f->folder);
    copy_file(f->path, copy);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, change, NULL, NULL, &problem) != SQLITE_OK)
        fail_msg("%s: %s", change, problem);
    assert_true(sqlite3_total_changes(db) > 0);
    sqlite3_close(db);
    struct audit_result result = verify(f, earlier);
    test_folder_remove(f->folder);
    assert_int_equal(rename(copy, f->path), 0);
    return result;
}

static void test_audit__untouched_log_is_good(void **state)
{
    struct fixture *f = *state;
    struct audit_result result = verify(f, NULL);
    assert_true(result.good);
    assert_int_equal(result.size, LEAVES);
    assert_int_equal(result.first_bad, -1);
    assert_string_equal(result.problem, "");
    assert_true(tree_hash_equal(result.root, f->head.root));
    assert_true(verify(f, &f->early).good);
    assert_true(verify(f, &f->head).good);
    struct store_checkpoint empty = {.root = hash_sha256("", 0)};
    assert_true(verify(f, &empty).good);
    empty.root.bytes[0] ^= 1;
    assert_false(verify(f, &empty).good);
}

static const int64_t places[] = {0, 1, 2, 99, 100, 127, 128, 255, 256, LEAVES - 2, LEAVES - 1};

static void test_audit__changed_leaf_is_named(void **state)
{
    static const char *const changes[] = {
        "UPDATE record SET text = replace(text, '\"leaf\"', '\"Leaf\"') WHERE position = ",
        "UPDATE record SET text = text || ' ' WHERE position = ",
        "UPDATE record SET text = substr(text, 1, length(text) - 1) WHERE position = ",
        "UPDATE record SET text = '' WHERE position = ",
        "UPDATE record SET text = replace(text, '179', '178') WHERE position = ",
        "UPDATE record SET hash = zeroblob(32) WHERE position = ",
        "UPDATE record SET hash = x'' WHERE position = ",
        "UPDATE record SET hash = CAST(hash || x'00' AS BLOB) WHERE position = ",
        "UPDATE record SET text = (SELECT text FROM record WHERE position = 50) WHERE position = "
        "",
        "DELETE FROM record WHERE position = "};
    struct fixture *f = *state;
    for (size_t c = 0; c < sizeof changes / sizeof *changes; c++) {
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            char sql[256];
            snprintf(sql, sizeof sql, "%s%d", changes[c], (int)places[i]);
            struct audit_result result = tampered(f, NULL, sql);
            assert_false(result.good);
            assert_int_equal(result.first_bad, places[i]);
            assert_int_not_equal(result.problem[0], 0);
        }
    }
}

/* One bit of every byte of one leaf. */
static void test_audit__every_flipped_bit_is_found(void **state)
{
    struct fixture *f = *state;
    struct store_leaf *leaves;
    size_t count;
    struct store *store = open_or_fail(f->path, &f->time.clock);
    assert_int_equal(store_leaves(store, 0, 77, 1, &f->arena, &leaves, &count, &f->err), STORE_OK);
    store_close(store);
    for (size_t i = 0; i < leaves[0].text.len; i++) {
        char bytes[256], hex[513], sql[700];
        memcpy(bytes, leaves[0].text.ptr, leaves[0].text.len);
        bytes[i] = (char)(bytes[i] ^ 1 << i % 7);
        hash_hex(bytes, leaves[0].text.len, hex);
        snprintf(sql, sizeof sql,
                 "UPDATE record SET text = CAST(x'%s' AS TEXT) WHERE position = 77", hex);
        assert_int_equal(tampered(f, NULL, sql).first_bad, 77);
    }
}

/* With its hash made right again, only the tree shows it. */
static void test_audit__leaf_changed_together_with_its_hash(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char sql[256], hex[65];
        struct sha256 hash = tree_hash_leaf(STR("{}"));
        hash_hex(hash.bytes, 32, hex);
        snprintf(sql, sizeof sql, "UPDATE record SET text = '{}', hash = x'%s' WHERE position = %d",
                 hex, (int)places[i]);
        struct audit_result result = tampered(f, NULL, sql);
        assert_false(result.good);
        assert_int_equal(result.first_bad, -1);
    }
}

static void test_audit__swapped_duplicated_and_moved_leaves(void **state)
{
    struct fixture *f = *state;
    assert_false(tampered(f, NULL,
                          "UPDATE record SET position = -1 WHERE position = 10;"
                          "UPDATE record SET position = 10 WHERE position = 11;"
                          "UPDATE record SET position = 11 WHERE position = -1")
                     .good);
    assert_false(tampered(f, NULL,
                          "INSERT INTO record SELECT 300, remediation, text, hash FROM record "
                          "WHERE position = 299")
                     .good);
    struct audit_result result =
        tampered(f, NULL, "UPDATE record SET position = 400 WHERE position = 120");
    assert_int_equal(result.first_bad, 120);
    result = tampered(f, NULL, "UPDATE record SET position = -5 WHERE position = 0");
    assert_int_equal(result.first_bad, 0);
}

static void test_audit__head_that_was_changed(void **state)
{
    struct fixture *f = *state;
    assert_false(tampered(f, NULL, "UPDATE head SET root = zeroblob(32)").good);
    struct audit_result result = tampered(f, NULL, "DELETE FROM record WHERE position >= 200");
    assert_int_equal(result.first_bad, 200);
}

/* The end cut off together with its head: consistent in itself, so only a checkpoint shows it. */
static void cut(struct fixture *f, char *sql, size_t size, int at)
{
    struct tree tree = {0};
    char root[65], peaks[64 * 64 + 1];
    struct store *store = open_or_fail(f->path, &f->time.clock);
    struct store_leaf *leaves;
    size_t count;
    assert_int_equal(store_leaves(store, 0, 0, (size_t)at, &f->arena, &leaves, &count, &f->err),
                     STORE_OK);
    for (size_t i = 0; i < count; i++)
        tree_append(&tree, leaves[i].hash);
    store_close(store);
    struct sha256 hash = tree_root(&tree);
    hash_hex(hash.bytes, 32, root);
    hash_hex(tree.peaks, 32 * tree_peak_count(tree.size), peaks);
    snprintf(sql, size,
             "DELETE FROM record WHERE position >= %d;"
             "UPDATE head SET size = %d, root = x'%s', peaks = x'%s'",
             at, at, root, peaks);
}

static void test_audit__cut_tail_is_seen_with_a_checkpoint(void **state)
{
    struct fixture *f = *state;
    char sql[5000];
    cut(f, sql, sizeof sql, 250);
    assert_true(tampered(f, NULL, sql).good);
    assert_true(tampered(f, &f->early, sql).good);
    struct audit_result result = tampered(f, &f->head, sql);
    assert_false(result.good);
    assert_int_equal(result.first_bad, 250);
    cut(f, sql, sizeof sql, 99);
    assert_false(tampered(f, &f->early, sql).good);
    /* Rewritten from scratch, of the same length: another root at the checkpoint. */
    f->early.root.bytes[5] ^= 1;
    assert_false(verify(f, &f->early).good);
}

static void count_progress(void *ctx, int64_t done, int64_t total)
{
    int64_t *seen = ctx;
    assert_in_range(done, *seen, total);
    *seen = done;
}

static void test_audit__progress_and_a_log_that_grows(void **state)
{
    struct fixture *f = *state;
    struct audit_result result;
    int64_t seen = 0;
    struct store *store = open_or_fail(f->path, &f->time.clock);
    accept_one(store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(store);
    struct store_transition t = move_to(store, claim, STATE_READING);
    assert_int_equal(store_advance(store, &t, false, &f->err), STORE_OK);
    assert_true(audit_verify(store, NULL, count_progress, &seen, &result, &f->err));
    assert_true(result.good);
    assert_int_equal(seen, LEAVES + 2);
    store_close(store);
}

static void test_audit__checkpoint_text_and_back(void **state)
{
    struct fixture *f = *state;
    struct store_checkpoint checkpoint = {.size = 15368405}, back;
    struct str origin, root;
    assert_true(
        hash_from_base64(&f->arena, STR("31JQUq8EyQx5lpqtKRqryJzA+77WD2xmTyuB4uIlXeE="), &root));
    memcpy(checkpoint.root.bytes, root.ptr, 32);
    struct str text = audit_checkpoint_text(STR("example.com/log"), &checkpoint, &f->arena);
    assert_true(str_is(text, "example.com/log\n15368405\n"
                             "31JQUq8EyQx5lpqtKRqryJzA+77WD2xmTyuB4uIlXeE=\n"));
    assert_true(audit_checkpoint_parse(text, &origin, &back, &f->err));
    assert_true(str_is(origin, "example.com/log"));
    assert_int_equal(back.size, 15368405);
    assert_true(tree_hash_equal(back.root, checkpoint.root));
    static const char *const bad[] = {"",
                                      "\n1\n31JQUq8EyQx5lpqtKRqryJzA+77WD2xmTyuB4uIlXeE=\n",
                                      "o\n-1\nAAAA\n",
                                      "o\n01\n31JQUq8EyQx5lpqtKRqryJzA+77WD2xmTyuB4uIlXeE=\n",
                                      "o\nx\n31JQUq8EyQx5lpqtKRqryJzA+77WD2xmTyuB4uIlXeE=\n",
                                      "o\n1\nAAAA\n",
                                      "o\n1\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(audit_checkpoint_parse(str_from(bad[i]), &origin, &back, &f->err));
        assert_string_equal(f->err.code, "U0001");
    }
}

struct lines {
    int64_t count, stop;
    struct arena *arena;
};

static bool take_line(void *ctx, struct str line)
{
    struct lines *lines = ctx;
    struct value value;
    struct error err;
    assert_true(json_parse(lines->arena, line, &value, &err));
    assert_int_equal(value_get(value, STR("index"))->i, lines->count + 10);
    assert_int_equal(value_path_str(value, "hash").len, 64);
    assert_int_equal(value_path(value, "leaf.body.number")->i, lines->count + 10);
    return ++lines->count != lines->stop;
}

static void test_audit__export_is_json_lines(void **state)
{
    struct fixture *f = *state;
    struct lines all = {.arena = &f->arena}, some = {.arena = &f->arena, .stop = 3};
    struct store *store = open_or_fail(f->path, &f->time.clock);
    assert_true(audit_export(store, 10, take_line, &all, &f->err));
    assert_int_equal(all.count, LEAVES - 10);
    assert_true(audit_export(store, 10, take_line, &some, &f->err));
    assert_int_equal(some.count, 3);
    store_close(store);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(test_audit__untouched_log_is_good),
        EACH(test_audit__changed_leaf_is_named),
        EACH(test_audit__every_flipped_bit_is_found),
        EACH(test_audit__leaf_changed_together_with_its_hash),
        EACH(test_audit__swapped_duplicated_and_moved_leaves),
        EACH(test_audit__head_that_was_changed),
        EACH(test_audit__cut_tail_is_seen_with_a_checkpoint),
        EACH(test_audit__progress_and_a_log_that_grows),
        EACH(test_audit__checkpoint_text_and_back),
        EACH(test_audit__export_is_json_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
