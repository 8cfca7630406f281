// SPDX-License-Identifier: Apache-2.0
/* See seal.h. A sealed text is sealed:v1:KEY:BASE64 of nonce, ciphertext and tag. */
#include "base/seal.h"

#include "base/hash.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NONCE_SIZE 12
#define TAG_SIZE 16
#define PREFIX "sealed:v1:"

/* ---- key files ---- */

static bool read_text(const char *path, struct arena *arena, struct str *ret, struct error *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        error_set(err, "K0001", "cannot read the key file %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return error_hint(err, "`rectify key FILE` makes one");
    }
    char *bytes = arena_alloc_raw(arena, LIMIT_KEY_FILE_BYTES + 1, 1);
    ssize_t size = bytes ? read(fd, bytes, LIMIT_KEY_FILE_BYTES + 1) : -1;
    close(fd);
    if (info.st_mode & (S_IRWXG | S_IRWXO)) {
        error_set(err, "K0001", "others than its owner may read the key file %s", path);
        return error_hint(err, "chmod 600 %s", path);
    }
    if (size < 0 || size > LIMIT_KEY_FILE_BYTES)
        return error_set(err, "K0001", "the key file %s is too large, or cannot be read", path);
    *ret = (struct str){bytes, (size_t)size};
    return true;
}

static bool take_line(struct str line, seal_unwrap unwrap, void *ctx, struct arena *arena,
                      struct seal_key *ret, struct error *err)
{
    struct str kind = str_cut(&line, ' '), bytes;
    struct str arn = str_is(kind, "kms") ? str_cut(&line, ' ') : (struct str){0};
    bool good = (arn.len || str_is(kind, "v1")) &&
                hash_from_base64(arena, str_trim(line), &bytes) && bytes.len;
    if (good && arn.len) {
        if (!unwrap(ctx, arn, bytes, ret->bytes, err))
            return false;
    } else if (good && bytes.len == SEAL_KEY_SIZE) {
        memcpy(ret->bytes, bytes.ptr, SEAL_KEY_SIZE);
    } else {
        return error_set(err, "K0002", "is neither `v1 BASE64` nor `kms ARN BASE64`");
    }
    struct sha256 hash = hash_sha256(ret->bytes, SEAL_KEY_SIZE);
    hash_hex(hash.bytes, (sizeof ret->id - 1) / 2, ret->id);
    return true;
}

bool seal_keys_load(const char *path, seal_unwrap unwrap, void *ctx, struct seal_keys *ret,
                    struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct seal_keys keys = {0};
    struct str text, rest;
    bool ok = read_text(path, &arena, &text, err);
    rest = ok ? text : (struct str){0};
    for (unsigned number = 1; ok && rest.len; number++) {
        struct str line = str_trim(str_cut(&rest, '\n'));
        if (!line.len || line.ptr[0] == '#')
            continue;
        ok = keys.count < SEAL_KEYS_MAX ||
             error_set(err, "K0002", "has more than %d keys", SEAL_KEYS_MAX);
        ok = ok && take_line(line, unwrap, ctx, &arena, &keys.keys[keys.count++], err);
        if (!ok)
            error_context(err, "%s:%u", path, number);
    }
    ok = ok && (keys.count || error_set(err, "K0002", "%s holds no key", path));
    if (ok)
        *ret = keys;
    if (text.ptr)
        hash_wipe((char *)(uintptr_t)text.ptr, text.len);
    seal_keys_wipe(&keys);
    return ok;
}

void seal_keys_wipe(struct seal_keys *keys)
{
    hash_wipe(keys, sizeof *keys);
}

/* ---- sealing ---- */

static bool encrypt(const struct seal_key *key, struct str context, struct str text,
                    unsigned char *nonce)
{
    unsigned char *cipher = nonce + NONCE_SIZE, *tag = cipher + text.len;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len;
    bool ok =
        ctx && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1 &&
        EVP_EncryptUpdate(ctx, NULL, &len, (const unsigned char *)context.ptr, (int)context.len) ==
            1 &&
        EVP_EncryptUpdate(ctx, cipher, &len, (const unsigned char *)text.ptr, (int)text.len) == 1 &&
        EVP_EncryptFinal_ex(ctx, tag, &len) == 1 &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, tag) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static bool decrypt(const struct seal_key *key, struct str context, struct str packed,
                    unsigned char *plain)
{
    const unsigned char *nonce = (const unsigned char *)packed.ptr, *cipher = nonce + NONCE_SIZE;
    size_t size = packed.len - NONCE_SIZE - TAG_SIZE;
    unsigned char tag[TAG_SIZE];
    memcpy(tag, cipher + size, TAG_SIZE);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len;
    bool ok = ctx && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1 &&
              EVP_DecryptUpdate(ctx, NULL, &len, (const unsigned char *)context.ptr,
                                (int)context.len) == 1 &&
              EVP_DecryptUpdate(ctx, plain, &len, cipher, (int)size) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) == 1 &&
              EVP_DecryptFinal_ex(ctx, plain + size, &len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

bool seal_close(const struct seal_keys *keys, const struct clock *clock, struct str context,
                struct str text, struct arena *arena, struct str *ret, struct error *err)
{
    size_t size = NONCE_SIZE + text.len + TAG_SIZE;
    unsigned char *packed = text.len < INT32_MAX ? arena_alloc_raw(arena, size, 1) : NULL;
    if (!packed)
        return error_set(err, "K0003", "out of memory sealing what is kept");
    clock_random(clock, packed, NONCE_SIZE);
    if (!encrypt(&keys->keys[0], context, text, packed))
        return error_set(err, "K0003", "what is kept cannot be sealed");
    struct str body = hash_base64(arena, (struct str){(char *)packed, size});
    struct buf out = {.arena = arena};
    buf_printf(&out, PREFIX "%s:%.*s", keys->keys[0].id, STR_FMT(body));
    struct str sealed = buf_str(&out);
    if (!body.ptr || !sealed.ptr)
        return error_set(err, "K0003", "out of memory sealing what is kept");
    *ret = sealed;
    return true;
}

bool seal_is_sealed(struct str text)
{
    return str_starts(text, STR(PREFIX));
}

bool seal_open(const struct seal_keys *keys, struct str context, struct str sealed,
               struct arena *arena, struct str *ret, struct error *err)
{
    struct str rest = str_sub(sealed, sizeof PREFIX - 1, SIZE_MAX), id = str_cut(&rest, ':');
    struct str packed;
    const struct seal_key *key = NULL;
    for (size_t i = 0; keys && i < keys->count; i++)
        if (str_is(id, keys->keys[i].id))
            key = &keys->keys[i];
    if (!key) {
        error_set(err, "K0005", "what was kept is sealed with the key %.*s, which is not loaded",
                  STR_FMT(str_sub(id, 0, 16)));
        return error_hint(err, "put that key's line back into the key file, behind the newest");
    }
    unsigned char *plain = NULL;
    if (hash_from_base64(arena, rest, &packed) && packed.len >= NONCE_SIZE + TAG_SIZE)
        plain = arena_alloc_raw(arena, packed.len, 1);
    if (!plain || !decrypt(key, context, packed, plain))
        return error_set(err, "K0004", "what was kept is damaged, or another's");
    *ret = (struct str){(char *)plain, packed.len - NONCE_SIZE - TAG_SIZE};
    return true;
}
