// SPDX-License-Identifier: Apache-2.0
/* The tree against the RFC's own recursion, written down naively here, and against published roots
 * of certificate transparency's eight well-known leaves. */
#include "../cmocka_all.h"
#include "tree/tree.h"

#define SIZE_TESTED 70

static const struct str known_leaves[] = {
    {"", 0},
    {"\x00", 1},
    {"\x10", 1},
    {"\x20\x21", 2},
    {"\x30\x31", 2},
    {"\x40\x41\x42\x43", 4},
    {"\x50\x51\x52\x53\x54\x55\x56\x57", 8},
    {"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16},
};

static const char *const known_roots[] = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

static struct sha256 leaves[SIZE_TESTED];

static void fill_leaves(void)
{
    for (int i = 0; i < SIZE_TESTED; i++)
        leaves[i] = tree_hash_leaf((struct str){(const char *)&i, sizeof i});
}

/* MTH of RFC 6962 2.1, as it stands there. */
static struct sha256 naive_root(const struct sha256 *d, size_t n)
{
    if (n == 0)
        return hash_sha256("", 0);
    if (n == 1)
        return d[0];
    size_t k = 1;
    while (k * 2 < n)
        k *= 2;
    struct sha256 left = naive_root(d, k), right = naive_root(d + k, n - k);
    char joined[65] = {1};
    memcpy(joined + 1, left.bytes, 32);
    memcpy(joined + 33, right.bytes, 32);
    return hash_sha256(joined, sizeof joined);
}

/* PATH of RFC 6962 2.1.1. */
static size_t naive_path(const struct sha256 *d, size_t n, size_t m, struct sha256 *ret)
{
    if (n == 1)
        return 0;
    size_t k = 1, count;
    while (k * 2 < n)
        k *= 2;
    if (m < k) {
        count = naive_path(d, k, m, ret);
        ret[count] = naive_root(d + k, n - k);
    } else {
        count = naive_path(d + k, n - k, m - k, ret);
        ret[count] = naive_root(d, k);
    }
    return count + 1;
}

/* SUBPROOF of RFC 6962 2.1.2. */
static size_t naive_subproof(const struct sha256 *d, size_t n, size_t m, bool b, struct sha256 *ret)
{
    if (m == n) {
        if (!b)
            ret[0] = naive_root(d, n);
        return !b;
    }
    size_t k = 1, count;
    while (k * 2 < n)
        k *= 2;
    if (m <= k) {
        count = naive_subproof(d, k, m, b, ret);
        ret[count] = naive_root(d + k, n - k);
    } else {
        count = naive_subproof(d + k, n - k, m - k, false, ret);
        ret[count] = naive_root(d, k);
    }
    return count + 1;
}

static void test_tree__published_roots(void **state)
{
    (void)state;
    struct tree tree = {0};
    for (size_t i = 0; i <= 8; i++) {
        char hex[65];
        struct sha256 root = tree_root(&tree);
        hash_hex(root.bytes, 32, hex);
        assert_string_equal(hex, known_roots[i]);
        if (i < 8)
            tree_append(&tree, tree_hash_leaf(known_leaves[i]));
    }
}

static void test_tree__growing_root_is_the_recursions(void **state)
{
    (void)state;
    struct tree tree = {0};
    for (size_t n = 0; n < SIZE_TESTED; n++) {
        assert_true(tree_hash_equal(tree_root(&tree), naive_root(leaves, n)));
        assert_int_equal(tree.size, n);
        tree_append(&tree, leaves[n]);
    }
}

static void test_tree__inclusion_of_every_leaf_of_every_size(void **state)
{
    (void)state;
    for (size_t n = 1; n < SIZE_TESTED; n++) {
        struct sha256 root = naive_root(leaves, n);
        for (size_t i = 0; i < n; i++) {
            struct sha256 proof[TREE_PATH_MAX], naive[TREE_PATH_MAX];
            size_t count = tree_prove_inclusion(leaves, n, i, proof);
            assert_int_equal(count, naive_path(leaves, n, i, naive));
            assert_memory_equal(proof, naive, count * sizeof *proof);
            assert_true(tree_verify_inclusion(leaves[i], i, n, proof, count, root));
        }
    }
}

static void test_tree__hostile_inclusion_is_refused(void **state)
{
    (void)state;
    for (size_t n = 1; n < 20; n++) {
        struct sha256 root = naive_root(leaves, n);
        for (size_t i = 0; i < n; i++) {
            struct sha256 proof[TREE_PATH_MAX + 1];
            size_t count = tree_prove_inclusion(leaves, n, i, proof);
            proof[count] = leaves[0];
            assert_false(tree_verify_inclusion(leaves[i], i, n, proof, count + 1, root));
            if (count)
                assert_false(tree_verify_inclusion(leaves[i], i, n, proof, count - 1, root));
            for (size_t j = 0; j < n; j++)
                if (j != i)
                    assert_false(tree_verify_inclusion(leaves[j], i, n, proof, count, root));
            assert_false(tree_verify_inclusion(leaves[i], n, n, proof, count, root));
            assert_false(tree_verify_inclusion(leaves[i], i, 0, proof, count, root));
            for (size_t j = 0; j < count; j++) {
                proof[j].bytes[j % 32] ^= 0x40;
                assert_false(tree_verify_inclusion(leaves[i], i, n, proof, count, root));
                proof[j].bytes[j % 32] ^= 0x40;
            }
            root.bytes[31] ^= 1;
            assert_false(tree_verify_inclusion(leaves[i], i, n, proof, count, root));
            root.bytes[31] ^= 1;
        }
    }
}

/* A node's two children, offered as one leaf's text, must not pass for a leaf. */
static void test_tree__a_node_is_no_leaf(void **state)
{
    (void)state;
    char joined[64];
    memcpy(joined, leaves[0].bytes, 32);
    memcpy(joined + 32, leaves[1].bytes, 32);
    struct sha256 forged = tree_hash_leaf((struct str){joined, 64});
    assert_false(tree_hash_equal(forged, naive_root(leaves, 2)));
    assert_false(tree_verify_inclusion(forged, 0, 1, NULL, 0, naive_root(leaves, 2)));
}

static void test_tree__consistency_of_every_pair_of_sizes(void **state)
{
    (void)state;
    for (size_t n = 1; n < SIZE_TESTED; n++) {
        struct sha256 newer = naive_root(leaves, n);
        for (size_t m = 1; m <= n; m++) {
            struct sha256 proof[TREE_PATH_MAX], naive[TREE_PATH_MAX];
            struct sha256 older = naive_root(leaves, m);
            size_t count = tree_prove_consistency(leaves, n, m, proof);
            assert_int_equal(count, naive_subproof(leaves, n, m, true, naive));
            assert_memory_equal(proof, naive, count * sizeof *proof);
            assert_true(tree_verify_consistency(m, older, n, newer, proof, count));
        }
        assert_true(tree_verify_consistency(0, naive_root(leaves, 0), n, newer, NULL, 0));
    }
}

static void test_tree__hostile_consistency_is_refused(void **state)
{
    (void)state;
    for (size_t n = 2; n < 20; n++) {
        struct sha256 newer = naive_root(leaves, n);
        assert_false(tree_verify_consistency(0, newer, n, newer, NULL, 0));
        assert_false(tree_verify_consistency(n + 1, newer, n, newer, NULL, 0));
        for (size_t m = 1; m < n; m++) {
            struct sha256 proof[TREE_PATH_MAX + 1], older = naive_root(leaves, m);
            size_t count = tree_prove_consistency(leaves, n, m, proof);
            proof[count] = older;
            assert_false(tree_verify_consistency(m, older, n, newer, proof, count + 1));
            assert_false(tree_verify_consistency(m, older, n, newer, proof, count - 1));
            assert_false(tree_verify_consistency(m, older, n, newer, NULL, 0));
            assert_false(tree_verify_consistency(m, newer, n, newer, proof, count));
            assert_false(tree_verify_consistency(m, older, n, older, proof, count));
            for (size_t j = 0; j < count; j++) {
                proof[j].bytes[j % 32] ^= 2;
                assert_false(tree_verify_consistency(m, older, n, newer, proof, count));
                proof[j].bytes[j % 32] ^= 2;
            }
        }
    }
}

static int setup(void **state)
{
    (void)state;
    fill_leaves();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree__published_roots),
        cmocka_unit_test(test_tree__growing_root_is_the_recursions),
        cmocka_unit_test(test_tree__inclusion_of_every_leaf_of_every_size),
        cmocka_unit_test(test_tree__hostile_inclusion_is_refused),
        cmocka_unit_test(test_tree__a_node_is_no_leaf),
        cmocka_unit_test(test_tree__consistency_of_every_pair_of_sizes),
        cmocka_unit_test(test_tree__hostile_consistency_is_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_STDOUT);
    return cmocka_run_group_tests(tests, setup, NULL);
}
