// SPDX-License-Identifier: Apache-2.0
/* The Merkle tree of the audit log: RFC 6962 section 2.1 (the same in RFC 9162), unchanged.
 *
 * leaf hash = SHA-256(0x00 || leaf), node hash = SHA-256(0x01 || left || right); the tree of n > 1
 * leaves splits at the largest power of two below n; the empty tree's root is SHA-256(""). A
 * growing tree is kept as its compact range, the roots of its perfect subtrees from left to right:
 *
 *   size 7 = 4 + 2 + 1       peaks[0]      peaks[1]  peaks[2]
 *                            /      \       /   \       |
 *                           .        .     .     .      .
 *
 * so that appending costs two hashes on average and the root at most 63. Nothing here allocates or
 * fails by itself; verification takes sizes and proofs from strangers. Any thread. */
#ifndef RECTIFY_TREE_TREE_H
#define RECTIFY_TREE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/str.h"

#define TREE_PATH_MAX 64 // hashes of the longest proof, and of a compact range

struct sha256 tree_hash_leaf(struct str leaf);
struct sha256 tree_hash_node(struct sha256 left, struct sha256 right);
bool tree_hash_equal(struct sha256 a, struct sha256 b);

/* A zeroed one is the empty tree. */
struct tree {
    uint64_t size;                      // leaves
    struct sha256 peaks[TREE_PATH_MAX]; // the first popcount(size) are used, widest first
};
/* Appends one leaf's hash. The size stays below 2^63. */
void tree_append(struct tree *tree, struct sha256 leaf_hash);
struct sha256 tree_root(const struct tree *tree);
/* How many of `peaks` are used. */
size_t tree_peak_count(uint64_t size);

/* Proofs over the hashes of the first `size` leaves, which are all at hand. O(size) hashes.
 * `ret` holds TREE_PATH_MAX; the return value is how many were written. */
/* PATH(index, D[size]) of RFC 6962 2.1.1; index < size. */
size_t tree_prove_inclusion(const struct sha256 *leaves, uint64_t size, uint64_t index,
                            struct sha256 *ret);
/* PROOF(older, D[size]) of RFC 6962 2.1.2; 0 < older <= size. */
size_t tree_prove_consistency(const struct sha256 *leaves, uint64_t size, uint64_t older,
                              struct sha256 *ret);

/* RFC 9162 2.1.3.2: is `leaf_hash` the leaf at `index` of the tree of `size` leaves with `root`?
 * A proof of any other length than the right one is refused. */
bool tree_verify_inclusion(struct sha256 leaf_hash, uint64_t index, uint64_t size,
                           const struct sha256 *proof, size_t proof_count, struct sha256 root)
    __attribute__((warn_unused_result));
/* RFC 9162 2.1.4.2: is the tree of `older` leaves with `older_root` a prefix of the newer one? The
 * empty tree is a prefix of any (proof empty, older_root that of the empty tree). */
bool tree_verify_consistency(uint64_t older, struct sha256 older_root, uint64_t newer,
                             struct sha256 newer_root, const struct sha256 *proof,
                             size_t proof_count) __attribute__((warn_unused_result));

#endif
