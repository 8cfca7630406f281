// SPDX-License-Identifier: Apache-2.0
/* See hash.h. SHA-256 by libcrypto's own functions, not through EVP: hashing is what a start of
 * the program and every record and signature do, and EVP reads the configuration, loads providers
 * (1.4 ms, once) and makes an object for each digest. They are deprecated since 3.0 and still
 * there; should they go, this file is the only one that has to change. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/hash.h"

#include "base/ensure.h"

#include <openssl/crypto.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <sys/random.h>

static uint64_t table_key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void draw_key(void)
{
    ssize_t got = getrandom(&table_key, sizeof table_key, 0);
    ENSURE(got == (ssize_t)sizeof table_key);
}

struct sha256 hash_sha256_pieces(const struct str *pieces, size_t count)
{
    struct sha256 result;
    SHA256_CTX ctx;
    bool ok = SHA256_Init(&ctx) == 1;
    for (size_t i = 0; ok && i < count; i++)
        ok = SHA256_Update(&ctx, pieces[i].ptr, pieces[i].len) == 1;
    ok = ok && SHA256_Final(result.bytes, &ctx) == 1;
    ENSURE(ok);
    return result;
}

struct sha256 hash_sha256(const void *data, size_t size)
{
    return hash_sha256_pieces(&(struct str){data, size}, 1);
}

struct sha256 hash_hmac_sha256(struct str key, struct str data)
{
    /* RFC 2104 over the block size of 64 bytes: two plain digests, no MAC object to set up. */
    unsigned char pad[64] = {0};
    struct sha256 result;
    if (key.len > sizeof pad) {
        struct sha256 short_key = hash_sha256(key.ptr, key.len);
        memcpy(pad, short_key.bytes, sizeof short_key.bytes);
    } else if (key.len) {
        memcpy(pad, key.ptr, key.len);
    }
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36;
    struct str inner[] = {{(char *)pad, sizeof pad}, data};
    result = hash_sha256_pieces(inner, 2);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36 ^ 0x5C;
    struct str outer[] = {{(char *)pad, sizeof pad}, {(char *)result.bytes, sizeof result.bytes}};
    result = hash_sha256_pieces(outer, 2);
    hash_wipe(pad, sizeof pad);
    return result;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash_bytes(const void *data, size_t size, uint64_t seed)
{
    pthread_once(&key_once, draw_key);
    const unsigned char *p = data;
    uint64_t h = mix(seed ^ table_key, 0x9E3779B97F4A7C15u ^ size);
    while (size >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = mix(h ^ word, 0xE7037ED1A0B428DBu);
        p += 8;
        size -= 8;
    }
    uint64_t tail = 0;
    if (size)
        memcpy(&tail, p, size);
    return mix(h ^ tail, 0x8EBC6AF09C88C6E3u);
}

bool hash_rsa_verify(struct str key, struct str data, struct str signature)
{
    const unsigned char *der = (const unsigned char *)key.ptr;
    struct sha256 digest = hash_sha256(data.ptr, data.len);
    if (key.len == 0 || key.len > 8192 || signature.len == 0 || signature.len > 2048)
        return false;
    RSA *rsa = d2i_RSAPublicKey(NULL, &der, (long)key.len);
    bool good = rsa && RSA_bits(rsa) >= 2048 &&
                RSA_verify(NID_sha256, digest.bytes, sizeof digest.bytes,
                           (const unsigned char *)signature.ptr, (unsigned)signature.len, rsa) == 1;
    RSA_free(rsa);
    return good;
}

void hash_hex(const void *data, size_t size, char *ret)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = data;
    for (size_t i = 0; i < size; i++) {
        ret[2 * i] = digits[p[i] >> 4];
        ret[2 * i + 1] = digits[p[i] & 15];
    }
    ret[2 * size] = '\0';
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool hash_from_hex(struct str hex, void *ret, size_t size)
{
    unsigned char *out = ret;
    if (hex.len != 2 * size)
        return false;
    for (size_t i = 0; i < hex.len; i++)
        if (hex_digit(hex.ptr[i]) < 0)
            return false;
    for (size_t i = 0; i < size; i++)
        out[i] = (unsigned char)(hex_digit(hex.ptr[2 * i]) * 16 + hex_digit(hex.ptr[2 * i + 1]));
    return true;
}

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct str hash_base64(struct arena *arena, struct str data)
{
    struct buf out = {.arena = arena};
    const unsigned char *p = (const unsigned char *)data.ptr;
    for (size_t i = 0; i < data.len; i += 3) {
        size_t have = data.len - i < 3 ? data.len - i : 3;
        unsigned word = (unsigned)p[i] << 16 | (have > 1 ? (unsigned)p[i + 1] << 8 : 0) |
                        (have > 2 ? p[i + 2] : 0u);
        char four[4] = {base64_alphabet[word >> 18], base64_alphabet[word >> 12 & 63],
                        have > 1 ? base64_alphabet[word >> 6 & 63] : '=',
                        have > 2 ? base64_alphabet[word & 63] : '='};
        buf_add(&out, four, 4);
    }
    return buf_str(&out);
}

bool hash_from_base64(struct arena *arena, struct str text, struct str *ret)
{
    struct buf out = {.arena = arena};
    if (text.len % 4)
        return false;
    for (size_t i = 0; i < text.len; i += 4) {
        unsigned word = 0, padding = 0;
        for (size_t j = 0; j < 4; j++) {
            char c = text.ptr[i + j];
            const char *at = c ? strchr(base64_alphabet, c) : NULL;
            bool pad = c == '=' && i + 4 == text.len && j >= 2;
            if ((!at && !pad) || (at && padding))
                return false;
            padding += pad;
            word = word << 6 | (at ? (unsigned)(at - base64_alphabet) : 0);
        }
        if ((padding == 1 && (word & 0xFF)) || (padding == 2 && (word & 0xFFFF)))
            return false;
        char three[3] = {(char)(word >> 16), (char)(word >> 8), (char)word};
        buf_add(&out, three, 3 - padding);
    }
    *ret = buf_str(&out);
    return ret->ptr != NULL;
}

bool hash_equal_secret(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}

void hash_wipe(void *data, size_t size)
{
    if (data)
        OPENSSL_cleanse(data, size);
}
