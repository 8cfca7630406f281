// SPDX-License-Identifier: Apache-2.0
/* Sealing what is kept at rest: AES-256-GCM (NIST SP 800-38D) under a random nonce of 96 bits.
 *
 * A key file has a key a line, the newest first: it seals, all of them open.
 *     v1 BASE64             a key of 32 bytes
 *     kms ARN BASE64        one that AWS KMS has to open first
 * Empty lines and lines that begin with # say nothing. A sealed text names its key by the first 16
 * hex digits of the key's SHA-256, so keys can be replaced while what the old ones sealed is still
 * there. One key is good for 2^32 sealings. Any thread; keys are immutable once read. Errors K0xxx,
 * none with anything of a key in it. */
#ifndef RECTIFY_BASE_SEAL_H
#define RECTIFY_BASE_SEAL_H

#include "base/clock.h"
#include "base/error.h"

#define SEAL_KEY_SIZE 32
#define SEAL_KEYS_MAX 16

struct seal_key {
    char id[17];
    unsigned char bytes[SEAL_KEY_SIZE];
};
struct seal_keys {
    struct seal_key keys[SEAL_KEYS_MAX];
    size_t count;
};

/* Opens a wrapped key of a `kms` line. */
typedef bool (*seal_unwrap)(void *ctx, struct str arn, struct str wrapped,
                            unsigned char ret[SEAL_KEY_SIZE], struct error *err);

/* Reads a key file, which others than its owner must not be able to read. K0001 it cannot be read,
 * K0002 a line is none, or there is no key. */
bool seal_keys_load(const char *path, seal_unwrap unwrap, void *ctx, struct seal_keys *ret,
                    struct error *err) __attribute__((warn_unused_result));
void seal_keys_wipe(struct seal_keys *keys);

/* `context` says where the text belongs: opened under another one it is damaged (K0004). The sealed
 * text is printable; it and the opened one are in `arena`. K0003 no memory, or no randomness. */
bool seal_close(const struct seal_keys *keys, const struct clock *clock, struct str context,
                struct str text, struct arena *arena, struct str *ret, struct error *err)
    __attribute__((warn_unused_result));
/* K0004 damaged or moved, K0005 no such key is loaded (also when `keys` is NULL). */
bool seal_open(const struct seal_keys *keys, struct str context, struct str sealed,
               struct arena *arena, struct str *ret, struct error *err)
    __attribute__((warn_unused_result));
bool seal_is_sealed(struct str text);

#endif
