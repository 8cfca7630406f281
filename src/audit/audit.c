// SPDX-License-Identifier: Apache-2.0
/* Verification, checkpoints, export. See audit.h. Reads the log in pages, so that writers get
 * between. */
#include "audit/audit.h"

#include <inttypes.h>
#include <stdio.h>

#include "tree/tree.h"

#define PAGE 2048

static void found(struct audit_result *result, int64_t at, const char *problem)
{
    if (!result->good)
        return; // the first one counts
    result->good = false;
    result->first_bad = at;
    snprintf(result->problem, sizeof result->problem, "%s", problem);
}

static void check_leaf(const struct store_leaf *leaf, int64_t expected, struct audit_result *result)
{
    char problem[160];
    if (leaf->index != expected) {
        snprintf(problem, sizeof problem, "leaf %" PRId64 " is missing (leaf %" PRId64 " follows)",
                 expected, leaf->index);
        found(result, expected, problem);
    } else if (!tree_hash_equal(tree_hash_leaf(leaf->text), leaf->hash)) {
        snprintf(problem, sizeof problem, "leaf %" PRId64 " is not what was written", expected);
        found(result, expected, problem);
    }
}

static void check_earlier(const struct store_checkpoint *earlier, const struct tree *tree,
                          struct audit_result *result)
{
    if (!earlier || (uint64_t)earlier->size != tree->size)
        return;
    if (!tree_hash_equal(tree_root(tree), earlier->root))
        found(result, -1, "the log is not the one that the checkpoint was taken of");
}

static void check_head(const struct store_checkpoint *head, const struct store_checkpoint *earlier,
                       struct audit_result *result)
{
    char problem[160];
    if (result->size != head->size) {
        snprintf(problem, sizeof problem, "the log has %" PRId64 " leaves, its head says %" PRId64,
                 result->size, head->size);
        found(result, result->size < head->size ? result->size : head->size, problem);
    }
    if (!tree_hash_equal(result->root, head->root))
        found(result, -1, "the leaves do not give the root of the log's head");
    if (earlier && earlier->size > result->size) {
        snprintf(problem, sizeof problem,
                 "the log's end is cut off: %" PRId64 " leaves, the checkpoint covers %" PRId64,
                 result->size, earlier->size);
        found(result, result->size, problem);
    }
}

struct walk {
    struct store *store;
    const struct store_checkpoint *head, *earlier;
    struct tree tree;
    struct audit_result *result;
};

/* Checks one page; *ret_more is false behind the last leaf that counts. */
static bool check_page(struct walk *walk, struct arena *arena, bool *ret_more, struct error *err)
{
    struct store_leaf *leaves;
    size_t count;
    if (store_leaves(walk->store, 0, (int64_t)walk->tree.size, PAGE, arena, &leaves, &count, err) !=
        STORE_OK)
        return false;
    *ret_more = count == PAGE;
    for (size_t i = 0; i < count; i++) {
        /* Leaves behind the head may be on their way to it: only those that are due count. */
        if ((int64_t)walk->tree.size >= walk->head->size) {
            *ret_more = false;
            break;
        }
        check_leaf(&leaves[i], (int64_t)walk->tree.size, walk->result);
        if (leaves[i].index != (int64_t)walk->tree.size) {
            *ret_more = false;
            break;
        }
        tree_append(&walk->tree, tree_hash_leaf(leaves[i].text));
        check_earlier(walk->earlier, &walk->tree, walk->result);
    }
    return true;
}

/* Does a leaf stand behind the head, though nothing is being written? One that was just written
 * has moved the head by the time it is looked at again. */
static bool check_behind(struct walk *walk, struct arena *arena, struct error *err)
{
    struct store_checkpoint before, after;
    struct store_leaf *leaves;
    size_t count;
    if (store_flush(walk->store, err) != STORE_OK ||
        store_checkpoint(walk->store, &before, err) != STORE_OK ||
        store_leaves(walk->store, 0, before.size, 1, arena, &leaves, &count, err) != STORE_OK ||
        store_flush(walk->store, err) != STORE_OK ||
        store_checkpoint(walk->store, &after, err) != STORE_OK)
        return false;
    if (count && before.size == walk->head->size && after.size == before.size)
        found(walk->result, before.size, "a leaf stands behind the end that the log's head names");
    return true;
}

bool audit_verify(struct store *store, const struct store_checkpoint *earlier,
                  audit_progress progress, void *ctx, struct audit_result *ret, struct error *err)
{
    struct store_checkpoint head;
    struct audit_result result = {.good = true, .first_bad = -1};
    struct walk walk = {.store = store, .head = &head, .earlier = earlier, .result = &result};
    ARENA_AUTO struct arena arena = {0};
    if (store_flush(store, err) != STORE_OK || store_checkpoint(store, &head, err) != STORE_OK)
        return false;
    check_earlier(earlier, &walk.tree, &result);
    for (bool more = true; more;) {
        if (!check_page(&walk, &arena, &more, err))
            return false;
        arena_reset(&arena);
        if (progress)
            progress(ctx, (int64_t)walk.tree.size, head.size);
    }
    result.size = (int64_t)walk.tree.size;
    result.root = tree_root(&walk.tree);
    check_head(&head, earlier, &result);
    if (!check_behind(&walk, &arena, err))
        return false;
    *ret = result;
    return true;
}

/* ---- checkpoints ---- */

struct str audit_checkpoint_text(struct str origin, const struct store_checkpoint *checkpoint,
                                 struct arena *arena)
{
    struct str root =
        hash_base64(arena, (struct str){(const char *)checkpoint->root.bytes, HASH_SHA256_SIZE});
    struct buf out = {.arena = arena};
    buf_add_str(&out, origin);
    buf_printf(&out, "\n%" PRId64 "\n", checkpoint->size);
    buf_add_str(&out, root);
    buf_add_byte(&out, '\n');
    return root.ptr ? buf_str(&out) : root;
}

bool audit_checkpoint_parse(struct str text, struct str *ret_origin, struct store_checkpoint *ret,
                            struct error *err)
{
    ARENA_AUTO struct arena arena = {0};
    struct store_checkpoint checkpoint = {0};
    struct str origin = str_cut(&text, '\n'), size = str_cut(&text, '\n'), root;
    if (origin.len == 0)
        return error_set(err, "U0001", "a checkpoint's first line names its log; it is empty");
    if (!str_to_int64(size, &checkpoint.size) || checkpoint.size < 0 ||
        (size.len > 1 && size.ptr[0] == '0'))
        return error_set(err, "U0001",
                         "a checkpoint's second line is a count of leaves, not "
                         "\"%.*s\"",
                         STR_FMT(str_sub(size, 0, 40)));
    if (!hash_from_base64(&arena, str_cut(&text, '\n'), &root) || root.len != HASH_SHA256_SIZE)
        return error_set(err, "U0001", "a checkpoint's third line is a SHA-256 root in base64");
    memcpy(checkpoint.root.bytes, root.ptr, HASH_SHA256_SIZE);
    *ret_origin = origin;
    *ret = checkpoint;
    return true;
}

/* ---- export ---- */

static struct str export_line(const struct store_leaf *leaf, struct arena *arena)
{
    char hex[2 * HASH_SHA256_SIZE + 1];
    struct buf line = {.arena = arena};
    hash_hex(leaf->hash.bytes, HASH_SHA256_SIZE, hex);
    buf_printf(&line, "{\"hash\":\"%s\",\"index\":%" PRId64 ",\"leaf\":", hex, leaf->index);
    buf_add_str(&line, leaf->text);
    buf_add_byte(&line, '}');
    return buf_str(&line);
}

bool audit_export(struct store *store, int64_t from, audit_write write, void *ctx,
                  struct error *err)
{
    ARENA_AUTO struct arena arena = {0};
    size_t count = PAGE;
    for (int64_t next = from; count == PAGE; arena_reset(&arena)) {
        struct store_leaf *leaves;
        if (store_leaves(store, 0, next, PAGE, &arena, &leaves, &count, err) != STORE_OK)
            return false;
        for (size_t i = 0; i < count; i++) {
            struct str line = export_line(&leaves[i], &arena);
            if (!line.ptr)
                return error_set(err, "U0002", "out of memory exporting the audit log");
            if (!write(ctx, line))
                return true;
            next = leaves[i].index + 1;
        }
    }
    return true;
}
