// SPDX-License-Identifier: Apache-2.0
/* Signature Version 4: the canonical request, the string to sign, the signature.
 *
 *   request ──► canonical request ──SHA-256──► string to sign ──HMAC(signing key)──► signature
 *   secret, day, region, service ──4 x HMAC──► signing key, kept in the cache
 *
 * Does not decide what is signed: the caller has set every header. Any thread. */
#include "aws/sign.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"

/* ---- signing keys ---- */

#define KEY_CACHE_SIZE 256 // a power of two

/* What a key belongs to: credentials and scope, hashed twice with a key of this process. */
struct key_id {
    uint64_t words[2]; // 0, 0 = an empty place
};

struct signing_key {
    struct key_id id;
    struct sha256 key;
};

struct aws_key_cache {
    pthread_mutex_t lock;
    struct signing_key keys[KEY_CACHE_SIZE];
};

struct aws_key_cache *aws_key_cache_create(void)
{
    struct aws_key_cache *cache = calloc(1, sizeof(*cache));
    if (cache)
        pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void aws_key_cache_destroy(struct aws_key_cache *cache)
{
    if (!cache)
        return;
    pthread_mutex_destroy(&cache->lock);
    hash_wipe(cache, sizeof(*cache));
    free(cache);
}

static struct sha256 derive_key(const struct aws_sign_input *input)
{
    char first[256];
    struct str secret = input->credentials->secret_key;
    struct sha256 key = {0};
    if (secret.len + 4 > sizeof(first))
        return key; // longer than any that exists: refused by the server
    static const char prefix[4] = {'A', 'W', 'S', '4'};
    memcpy(first, prefix, sizeof(prefix));
    if (secret.len)
        memcpy(first + 4, secret.ptr, secret.len);
    struct str pieces[] = {{input->date, 8}, input->region, input->service, STR("aws4_request")};
    key = hash_hmac_sha256((struct str){first, secret.len + 4}, pieces[0]);
    for (int i = 1; i < 4; i++)
        key = hash_hmac_sha256((struct str){(char *)key.bytes, sizeof(key)}, pieces[i]);
    hash_wipe(first, sizeof(first));
    return key;
}

static struct key_id key_id(const struct aws_sign_input *input)
{
    const struct aws_credentials *credentials = input->credentials;
    struct str pieces[] = {credentials->access_key,
                           credentials->secret_key,
                           {input->date, 8},
                           input->region,
                           input->service};
    struct key_id id = {{1, 2}};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        id.words[0] = hash_bytes(pieces[i].ptr, pieces[i].len, id.words[0]);
        id.words[1] = hash_bytes(pieces[i].ptr, pieces[i].len, id.words[1]);
    }
    return id;
}

static struct sha256 signing_key(const struct aws_sign_input *input)
{
    struct aws_key_cache *cache = input->keys;
    if (!cache)
        return derive_key(input);
    struct key_id id = key_id(input);
    struct signing_key *slot = &cache->keys[id.words[0] & (KEY_CACHE_SIZE - 1)];
    pthread_mutex_lock(&cache->lock);
    bool hit = memcmp(&slot->id, &id, sizeof(id)) == 0;
    struct sha256 key = slot->key;
    pthread_mutex_unlock(&cache->lock);
    if (hit)
        return key;
    key = derive_key(input);
    pthread_mutex_lock(&cache->lock);
    *slot = (struct signing_key){.id = id, .key = key};
    pthread_mutex_unlock(&cache->lock);
    return key;
}

/* ---- the canonical request ---- */

static bool unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void add_encoded(struct buf *out, unsigned char c)
{
    static const char hex[] = "0123456789ABCDEF";
    char escaped[3] = {'%', hex[c >> 4], hex[c & 15]};
    if (unreserved(c))
        buf_add_byte(out, (char)c);
    else
        buf_add(out, escaped, 3);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Brings a part of a query, however it is spelled, into the one canonical spelling. */
static struct str recode(struct arena *arena, struct str part)
{
    bool plain = true;
    for (size_t i = 0; i < part.len && plain; i++)
        plain = unreserved((unsigned char)part.ptr[i]);
    if (plain)
        return (struct str){part.ptr ? part.ptr : "", part.len};
    struct buf out = {.arena = arena};
    buf_reserve(&out, part.len * 3);
    for (size_t i = 0; i < part.len; i++) {
        unsigned char c = (unsigned char)part.ptr[i];
        if (c == '%' && i + 2 < part.len && hex_digit(part.ptr[i + 1]) >= 0 &&
            hex_digit(part.ptr[i + 2]) >= 0) {
            c = (unsigned char)(hex_digit(part.ptr[i + 1]) * 16 + hex_digit(part.ptr[i + 2]));
            i += 2;
        }
        add_encoded(&out, c);
    }
    return buf_str(&out);
}

struct parameter {
    struct str name, value;
};

static int compare_parameters(const void *a, const void *b)
{
    const struct parameter *x = a, *y = b;
    int order = str_compare(x->name, y->name);
    return order ? order : str_compare(x->value, y->value);
}

static bool add_query(struct buf *out, struct str query)
{
    size_t count = 1;
    for (size_t i = 0; i < query.len; i++)
        count += query.ptr[i] == '&';
    struct parameter *parameters = ARENA_ARRAY(out->arena, struct parameter, count);
    if (!parameters)
        return false;
    count = 0;
    while (query.len) {
        struct str value = str_cut(&query, '&');
        if (!value.len)
            continue;
        struct str name = str_cut(&value, '=');
        parameters[count].name = recode(out->arena, name);
        parameters[count].value = recode(out->arena, value);
        if (!parameters[count].name.ptr || !parameters[count].value.ptr)
            return false;
        count++;
    }
    qsort(parameters, count, sizeof(*parameters), compare_parameters);
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_byte(out, '&');
        buf_add_str(out, parameters[i].name);
        buf_add_byte(out, '=');
        buf_add_str(out, parameters[i].value);
    }
    return true;
}

/* Removes "." and ".." and empty segments (RFC 3986, 5.2.4), keeping a last slash. */
static struct str normalize(struct arena *arena, struct str path)
{
    struct buf out = {.arena = arena};
    buf_reserve(&out, path.len + 1);
    if (out.failed)
        return (struct str){0};
    bool slash = path.len == 0 || path.ptr[path.len - 1] == '/';
    struct str rest = path;
    while (rest.len) {
        struct str segment = str_cut(&rest, '/');
        if (segment.len == 0 || str_is(segment, "."))
            continue;
        if (str_is(segment, "..")) {
            while (out.len && out.ptr[--out.len] != '/')
                ;
            continue;
        }
        buf_add_byte(&out, '/');
        buf_add_str(&out, segment);
    }
    slash |= str_ends(path, STR("/.")) || str_ends(path, STR("/.."));
    if (out.len == 0 || slash)
        buf_add_byte(&out, '/');
    return buf_str(&out);
}

static bool add_path(struct buf *out, const struct aws_sign_input *input)
{
    struct str path = input->path.len ? input->path : STR("/");
    if (input->normalize_path)
        path = normalize(out->arena, path);
    if (!path.ptr)
        return false;
    if (!input->double_encode_path) {
        buf_add_str(out, path);
        return true;
    }
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] == '/')
            buf_add_byte(out, '/');
        else
            add_encoded(out, (unsigned char)path.ptr[i]);
    }
    return true;
}

struct header {
    struct str name; // lower case
    struct str value;
    size_t position; // headers of one name keep their order
};

static int compare_headers(const void *a, const void *b)
{
    const struct header *x = a, *y = b;
    int order = str_compare(x->name, y->name);
    return order ? order : (x->position > y->position) - (x->position < y->position);
}

static bool is_signed(struct str name)
{
    static const char *const left_out[] = {
        "authorization", "connection", "expect",     "keep-alive",      "te",
        "trailer",       "upgrade",    "user-agent", "x-amzn-trace-id", "transfer-encoding",
    };
    for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++) {
        if (str_is(name, left_out[i]))
            return false;
    }
    return !str_starts(name, STR("proxy-"));
}

static struct str lower(struct arena *arena, struct str s)
{
    char *copy = arena_alloc_raw(arena, s.len + 1, 1);
    for (size_t i = 0; copy && i < s.len; i++)
        copy[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] | 0x20) : s.ptr[i];
    return (struct str){copy, s.len};
}

/* Trimmed, with runs of white space as one space. */
static void add_header_value(struct buf *out, struct str value)
{
    bool space = false, any = false;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            space = any;
            continue;
        }
        if (space)
            buf_add_byte(out, ' ');
        buf_add_byte(out, c);
        space = false;
        any = true;
    }
}

static bool add_headers(struct buf *out, const struct aws_sign_input *input,
                        struct str *ret_signed_headers)
{
    struct header *headers = ARENA_ARRAY(out->arena, struct header, input->header_count + 1);
    if (!headers)
        return false;
    size_t count = 0;
    for (size_t i = 0; i < input->header_count; i++) {
        struct str name = lower(out->arena, input->headers[i].name);
        if (!name.ptr)
            return false;
        if (is_signed(name))
            headers[count++] = (struct header){name, input->headers[i].value, i};
    }
    qsort(headers, count, sizeof(*headers), compare_headers);
    struct buf names = {.arena = out->arena};
    for (size_t i = 0; i < count; i++) {
        bool same = i > 0 && str_eq(headers[i].name, headers[i - 1].name);
        if (same) {
            out->len--; // the line end: the values of one name share a line
            buf_add_byte(out, ',');
        } else {
            buf_add_str(out, headers[i].name);
            buf_add_byte(out, ':');
            if (i)
                buf_add_byte(&names, ';');
            buf_add_str(&names, headers[i].name);
        }
        add_header_value(out, headers[i].value);
        buf_add_byte(out, '\n');
    }
    *ret_signed_headers = buf_str(&names);
    return count == 0 || ret_signed_headers->ptr;
}

static bool canonical_request(const struct aws_sign_input *input, struct str query,
                              struct arena *arena, struct aws_signature *ret)
{
    struct buf headers = {.arena = arena}, out = {.arena = arena};
    if (!add_headers(&headers, input, &ret->signed_headers))
        return false;
    struct str header_lines = buf_str(&headers);
    buf_reserve(&out, 160 + input->path.len * 3 + query.len * 3 + header_lines.len);
    buf_add_str(&out, input->method);
    buf_add_byte(&out, '\n');
    if (!add_path(&out, input))
        return false;
    buf_add_byte(&out, '\n');
    if (!add_query(&out, query))
        return false;
    buf_add_byte(&out, '\n');
    buf_add_str(&out, header_lines);
    buf_add_byte(&out, '\n');
    buf_add_str(&out, ret->signed_headers);
    buf_add_byte(&out, '\n');
    buf_add_str(&out, input->payload_hash);
    ret->canonical_request = buf_str(&out);
    return ret->canonical_request.ptr != NULL;
}

/* ---- the signature ---- */

static bool add_scope(const struct aws_sign_input *input, struct arena *arena,
                      struct aws_signature *ret)
{
    ret->scope = STR_JOIN(arena, {input->date, 8}, STR("/"), input->region, STR("/"),
                          input->service, STR("/aws4_request"));
    return ret->scope.ptr != NULL;
}

static bool sign(const struct aws_sign_input *input, struct str query, struct arena *arena,
                 struct aws_signature *ret)
{
    if (!canonical_request(input, query, arena, ret))
        return false;
    struct sha256 hash = hash_sha256(ret->canonical_request.ptr, ret->canonical_request.len);
    char hex[65];
    hash_hex(&hash, sizeof(hash), hex);
    ret->string_to_sign = STR_JOIN(arena, STR("AWS4-HMAC-SHA256\n"), str_from(input->date),
                                   STR("\n"), ret->scope, STR("\n"), {hex, 64});
    if (!ret->string_to_sign.ptr)
        return false;
    struct sha256 key = signing_key(input);
    struct sha256 mac =
        hash_hmac_sha256((struct str){(char *)key.bytes, sizeof(key)}, ret->string_to_sign);
    hash_hex(&mac, sizeof(mac), ret->signature);
    hash_wipe(&key, sizeof(key));
    return true;
}

bool aws_sign_headers(const struct aws_sign_input *input, struct arena *arena,
                      struct aws_signature *ret)
{
    struct aws_signature made = {0};
    if (!add_scope(input, arena, &made) || !sign(input, input->query, arena, &made))
        return false;
    made.authorization =
        STR_JOIN(arena, STR("AWS4-HMAC-SHA256 Credential="), input->credentials->access_key,
                 STR("/"), made.scope, STR(", SignedHeaders="), made.signed_headers,
                 STR(", Signature="), str_from(made.signature));
    if (!made.authorization.ptr)
        return false;
    *ret = made;
    return true;
}

static void add_parameter(struct buf *query, const char *name, struct str value)
{
    if (query->len)
        buf_add_byte(query, '&');
    buf_add_cstr(query, name);
    buf_add_byte(query, '=');
    for (size_t i = 0; i < value.len; i++)
        add_encoded(query, (unsigned char)value.ptr[i]);
}

static bool signed_header_names(const struct aws_sign_input *input, struct arena *arena,
                                struct str *ret)
{
    struct buf scratch = {.arena = arena};
    return add_headers(&scratch, input, ret);
}

bool aws_sign_query(const struct aws_sign_input *input, int64_t expires_s, bool token_unsigned,
                    struct arena *arena, struct aws_signature *ret)
{
    struct aws_signature made = {0};
    if (!add_scope(input, arena, &made) || !signed_header_names(input, arena, &made.signed_headers))
        return false;
    const struct aws_credentials *credentials = input->credentials;
    const char *credential =
        arena_printf(arena, "%.*s/%.*s", STR_FMT(credentials->access_key), STR_FMT(made.scope));
    char expires[24];
    snprintf(expires, sizeof(expires), "%lld", (long long)expires_s);
    struct buf query = {.arena = arena};
    buf_add_str(&query, input->query);
    add_parameter(&query, "X-Amz-Algorithm", STR("AWS4-HMAC-SHA256"));
    add_parameter(&query, "X-Amz-Credential", str_from(credential));
    add_parameter(&query, "X-Amz-Date", str_from(input->date));
    add_parameter(&query, "X-Amz-Expires", str_from(expires));
    add_parameter(&query, "X-Amz-SignedHeaders", made.signed_headers);
    if (credentials->token.len && !token_unsigned)
        add_parameter(&query, "X-Amz-Security-Token", credentials->token);
    struct str to_sign = str_copy(arena, buf_str(&query));
    if (!credential || !to_sign.ptr || !sign(input, to_sign, arena, &made))
        return false;
    if (credentials->token.len && token_unsigned)
        add_parameter(&query, "X-Amz-Security-Token", credentials->token);
    add_parameter(&query, "X-Amz-Signature", str_from(made.signature));
    made.query = buf_str(&query);
    if (!made.query.ptr)
        return false;
    *ret = made;
    return true;
}

void aws_sign_date(int64_t wall_ms, char ret[AWS_SIGN_DATE_SIZE])
{
    int64_t seconds = wall_ms >= 0 ? wall_ms / 1000 : 0;
    int64_t days = seconds / 86400, year;
    unsigned month, day, of_day = (unsigned)(seconds % 86400);
    clock_civil(days, &year, &month, &day);
    unsigned parts[] = {(unsigned)(year / 100 % 100),
                        (unsigned)(year % 100),
                        month,
                        day,
                        of_day / 3600,
                        of_day / 60 % 60,
                        of_day % 60};
    char *at = ret;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (i == 4)
            *at++ = 'T';
        *at++ = (char)('0' + parts[i] / 10);
        *at++ = (char)('0' + parts[i] % 10);
    }
    memcpy(at, "Z", 2);
}
