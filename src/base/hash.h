// SPDX-License-Identifier: Apache-2.0
/* Hashes. SHA-256 and HMAC are OpenSSL's; hash_bytes is a fast non-cryptographic hash for tables,
 * keyed per process so that foreign keys cannot be made to collide. Any thread. */
#ifndef RECTIFY_BASE_HASH_H
#define RECTIFY_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define HASH_SHA256_SIZE 32

struct sha256 {
    unsigned char bytes[HASH_SHA256_SIZE];
};

struct sha256 hash_sha256(const void *data, size_t size);
/* Of several pieces joined. */
struct sha256 hash_sha256_pieces(const struct str *pieces, size_t count);
struct sha256 hash_hmac_sha256(struct str key, struct str data);
uint64_t hash_bytes(const void *data, size_t size, uint64_t seed);

/* Did the owner of this key (RSA, PKCS #1 in DER) sign `data` with SHA-256 (RSASSA-PKCS1-v1_5)? */
bool hash_rsa_verify(struct str key, struct str data, struct str signature)
    __attribute__((warn_unused_result));

/* Lower-case hex, NUL-terminated. */
void hash_hex(const void *data, size_t size, char *ret /* 2*size+1 */);
bool hash_from_hex(struct str hex, void *ret, size_t size) __attribute__((warn_unused_result));
/* Standard base64 with padding (RFC 4648). Decoding refuses anything else. */
struct str hash_base64(struct arena *arena, struct str data);
bool hash_from_base64(struct arena *arena, struct str text, struct str *ret)
    __attribute__((warn_unused_result));
/* Equal, in time that depends on the length only. */
bool hash_equal_secret(struct str a, struct str b);
/* Overwrites secrets so that the compiler cannot leave it out. */
void hash_wipe(void *data, size_t size);

#endif
