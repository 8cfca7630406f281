// SPDX-License-Identifier: Apache-2.0
/* See tree.h. The verifiers follow the RFC's loops step by step, so that they can be held beside
 * it. */
#include "tree/tree.h"

#include "base/ensure.h"

struct sha256 tree_hash_leaf(struct str leaf)
{
    const struct str pieces[] = {{"\0", 1}, leaf};
    return hash_sha256_pieces(pieces, 2);
}

struct sha256 tree_hash_node(struct sha256 left, struct sha256 right)
{
    char bytes[1 + 2 * HASH_SHA256_SIZE];
    bytes[0] = 1;
    memcpy(bytes + 1, left.bytes, HASH_SHA256_SIZE);
    memcpy(bytes + 1 + HASH_SHA256_SIZE, right.bytes, HASH_SHA256_SIZE);
    return hash_sha256(bytes, sizeof bytes);
}

bool tree_hash_equal(struct sha256 a, struct sha256 b)
{
    return memcmp(a.bytes, b.bytes, HASH_SHA256_SIZE) == 0;
}

size_t tree_peak_count(uint64_t size)
{
    return (size_t)__builtin_popcountll(size);
}

void tree_append(struct tree *tree, struct sha256 leaf_hash)
{
    ENSURE(tree->size < INT64_MAX);
    size_t count = tree_peak_count(tree->size);
    /* Each trailing one bit of the size is a perfect subtree as wide as what arrives: join them. */
    for (uint64_t size = tree->size; size & 1; size >>= 1)
        leaf_hash = tree_hash_node(tree->peaks[--count], leaf_hash);
    tree->peaks[count] = leaf_hash;
    tree->size++;
}

struct sha256 tree_root(const struct tree *tree)
{
    size_t count = tree_peak_count(tree->size);
    if (count == 0)
        return hash_sha256("", 0);
    struct sha256 root = tree->peaks[--count];
    while (count > 0)
        root = tree_hash_node(tree->peaks[--count], root);
    return root;
}

/* Root of `count` leaves' hashes. */
static struct sha256 root_of(const struct sha256 *leaves, uint64_t count)
{
    struct tree tree = {0};
    for (uint64_t i = 0; i < count; i++)
        tree_append(&tree, leaves[i]);
    return tree_root(&tree);
}

/* The largest power of two below n; n > 1. */
static uint64_t split(uint64_t n)
{
    return (uint64_t)1 << (63 - __builtin_clzll(n - 1));
}

static void reverse(struct sha256 *hashes, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct sha256 kept = hashes[i];
        hashes[i] = hashes[count - 1 - i];
        hashes[count - 1 - i] = kept;
    }
}

size_t tree_prove_inclusion(const struct sha256 *leaves, uint64_t size, uint64_t index,
                            struct sha256 *ret)
{
    ENSURE(index < size);
    size_t count = 0;
    while (size > 1) { // walks from the root down, so the path comes out top first
        uint64_t k = split(size);
        if (index < k) {
            ret[count++] = root_of(leaves + k, size - k);
            size = k;
        } else {
            ret[count++] = root_of(leaves, k);
            leaves += k;
            index -= k;
            size -= k;
        }
    }
    reverse(ret, count);
    return count;
}

size_t tree_prove_consistency(const struct sha256 *leaves, uint64_t size, uint64_t older,
                              struct sha256 *ret)
{
    ENSURE(older > 0 && older <= size);
    size_t count = 0;
    bool complete = true; // the RFC's b: the verifier knows the subtree's root already
    while (older < size) {
        uint64_t k = split(size);
        if (older <= k) {
            ret[count++] = root_of(leaves + k, size - k);
            size = k;
        } else {
            ret[count++] = root_of(leaves, k);
            leaves += k;
            older -= k;
            size -= k;
            complete = false;
        }
    }
    if (!complete)
        ret[count++] = root_of(leaves, size);
    reverse(ret, count);
    return count;
}

bool tree_verify_inclusion(struct sha256 leaf_hash, uint64_t index, uint64_t size,
                           const struct sha256 *proof, size_t proof_count, struct sha256 root)
{
    if (index >= size)
        return false;
    uint64_t fn = index, sn = size - 1;
    struct sha256 r = leaf_hash;
    for (size_t i = 0; i < proof_count; i++) {
        if (sn == 0)
            return false;
        if ((fn & 1) || fn == sn) {
            r = tree_hash_node(proof[i], r);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            r = tree_hash_node(r, proof[i]);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && tree_hash_equal(r, root);
}

/* The RFC's step 6: folds the proof into both roots. */
static bool fold_consistency(uint64_t fn, uint64_t sn, const struct sha256 *proof, size_t count,
                             struct sha256 *fr, struct sha256 *sr)
{
    for (size_t i = 0; i < count; i++) {
        if (sn == 0)
            return false;
        if ((fn & 1) || fn == sn) {
            *fr = tree_hash_node(proof[i], *fr);
            *sr = tree_hash_node(proof[i], *sr);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            *sr = tree_hash_node(*sr, proof[i]);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0;
}

bool tree_verify_consistency(uint64_t older, struct sha256 older_root, uint64_t newer,
                             struct sha256 newer_root, const struct sha256 *proof,
                             size_t proof_count)
{
    if (older > newer)
        return false;
    if (older == newer)
        return proof_count == 0 && tree_hash_equal(older_root, newer_root);
    if (older == 0)
        return proof_count == 0 && tree_hash_equal(older_root, hash_sha256("", 0));
    uint64_t fn = older - 1, sn = newer - 1;
    for (; fn & 1; fn >>= 1)
        sn >>= 1;
    struct sha256 fr, sr;
    if ((older & (older - 1)) == 0) { // a power of two: its root starts the path unsaid
        fr = sr = older_root;
    } else {
        if (proof_count == 0)
            return false;
        fr = sr = *proof++;
        proof_count--;
    }
    return fold_consistency(fn, sn, proof, proof_count, &fr, &sr) &&
           tree_hash_equal(fr, older_root) && tree_hash_equal(sr, newer_root);
}
