// SPDX-License-Identifier: Apache-2.0
/* Files out of S3, and whom to believe. See trail.h. */
#include "detect/trail.h"

#include "base/limits.h"
#include "detect/detect_internal.h"
#include "value/json.h"

#define UNPACK_BYTES (256u << 10)

bool detect_trail_open(struct detect_trail *ret, const struct policy_source *source,
                       struct aws_models *models, struct aws_caller caller, struct error *err)
{
    *ret = (struct detect_trail){.source = source, .caller = caller};
    ret->get = aws_operation_find(models, STR("s3:GetObject"), err);
    ret->keys = ret->get ? aws_operation_find(models, STR("cloudtrail:ListPublicKeys"), err) : NULL;
    return ret->keys != NULL;
}

/* AWSLogs/[ORGANISATION/]ACCOUNT/CloudTrail/REGION/... below any prefix. */
enum detect_trail_kind detect_trail_kind(struct str key)
{
    if (str_ends(key, STR("/")) || str_find(key, STR("/CloudTrail-Insight/")) != SIZE_MAX)
        return TRAIL_NOTHING;
    if (str_find(key, STR("AWSLogs/")) == SIZE_MAX || !str_ends(key, STR(".json.gz")))
        return TRAIL_OTHER;
    if (str_find(key, STR("/CloudTrail-Digest/")) != SIZE_MAX)
        return TRAIL_DIGEST;
    return str_find(key, STR("/CloudTrail/")) != SIZE_MAX ? TRAIL_LOG : TRAIL_OTHER;
}

/* ---- fetching ---- */

static bool unpack(struct str packed, struct arena *arena, struct str *ret, struct error *err)
{
    struct input *input = input_open_text(packed);
    struct buf out = {.arena = arena};
    size_t got = input != NULL;
    while (got && out.len <= LIMIT_UNPACKED_BYTES && buf_reserve(&out, UNPACK_BYTES)) {
        got = input_read(input, out.ptr + out.len, UNPACK_BYTES);
        out.len += got;
    }
    const char *broken = input ? input_broken(input) : "out of memory";
    input_close(input);
    if (out.failed || broken)
        return error_set(err, "T0013", "%s", broken ? broken : "out of memory");
    if (out.len > LIMIT_UNPACKED_BYTES)
        return error_set(err, "T0013", "it is larger than %u bytes once unpacked",
                         LIMIT_UNPACKED_BYTES);
    *ret = buf_str(&out);
    return true;
}

static bool is_usable(const struct detect_trail *trail, const struct detect_file *file,
                      struct error *err)
{
    if (!detect_bucket_listed(trail->source, file->bucket)) {
        error_set(err, "T0014", "source %.*s may not announce files of bucket `%.*s`",
                  STR_FMT(trail->source->name), STR_FMT(str_sub(file->bucket, 0, 64)));
        return error_hint(err, "list it under `buckets` of the source if it may");
    }
    if (file->key.len == 0 || file->key.len > 1024 || !str_is_utf8(file->key) ||
        memchr(file->key.ptr, '\0', file->key.len))
        return error_set(err, "T0014", "not a key of an object");
    return true;
}

static void get_object(const struct detect_trail *trail, const struct detect_file *file,
                       struct arena *arena, struct aws_answer *ret)
{
    struct value_builder input = {.arena = arena};
    value_set(&input, "Bucket", value_string(file->bucket));
    value_set(&input, "Key", value_string(file->key));
    if (trail->source->bucket_owner.len)
        value_set(&input, "ExpectedBucketOwner", value_string(trail->source->bucket_owner));
    struct aws_call call = {.operation = trail->get,
                            .input = value_finish_map(&input),
                            .region = trail->source->region,
                            .access = {.role = trail->source->role},
                            .deadline_ms = 0};
    trail->caller.call(trail->caller.ctx, &call, arena, ret);
}

enum detect_fetch detect_trail_fetch(const struct detect_trail *trail,
                                     const struct detect_file *file, struct arena *arena,
                                     struct detect_fetched *ret, struct error *err)
{
    struct aws_answer answer;
    *ret = (struct detect_fetched){0};
    if (!is_usable(trail, file, err))
        return FETCH_REFUSED;
    get_object(trail, file, arena, &answer);
    if (answer.outcome != AWS_OK) {
        ret->missing = str_is(answer.code, "NoSuchKey");
        error_set(err, "T0012", "s3://%.*s/%.*s: %.*s: %.*s", STR_FMT(file->bucket),
                  STR_FMT(file->key), STR_FMT(answer.code), STR_FMT(answer.message));
        return answer.outcome == AWS_REFUSED ? FETCH_REFUSED : FETCH_LATER;
    }
    const struct value *body = value_get(answer.output, STR("Body"));
    const struct value *metadata = value_get(answer.output, STR("Metadata"));
    if (!unpack(body ? value_str(*body) : (struct str){0}, arena, &ret->text, err)) {
        error_context(err, "s3://%.*s/%.*s", STR_FMT(file->bucket), STR_FMT(file->key));
        return FETCH_REFUSED;
    }
    ret->hash = hash_sha256(ret->text.ptr, ret->text.len);
    ret->metadata = metadata ? *metadata : value_null();
    return FETCH_GOOD;
}

/* ---- digests ---- */

static bool bad_digest(struct error *err, const char *why)
{
    return error_set(err, "T0015", "not a digest that CloudTrail has written: %s", why);
}

static bool read_hash(struct value holder, const char *name, const char *algorithm,
                      struct sha256 *ret)
{
    return str_is(value_path_str(holder, algorithm), "SHA-256") &&
           hash_from_hex(value_path_str(holder, name), ret->bytes, sizeof ret->bytes);
}

static bool read_logs(struct value list, struct arena *arena, struct detect_digest *ret,
                      struct error *err)
{
    if (list.kind != VALUE_LIST || list.len > LIMIT_DIGEST_FILES)
        return bad_digest(err, "no list of log files, or too long a one");
    struct detect_log *logs = ARENA_ARRAY(arena, struct detect_log, (size_t)list.len + 1);
    for (uint32_t i = 0; logs && i < list.len; i++) {
        struct value one = list.items[i];
        logs[i].file =
            (struct detect_file){value_path_str(one, "s3Bucket"), value_path_str(one, "s3Object")};
        if (!read_hash(one, "hashValue", "hashAlgorithm", &logs[i].hash))
            return bad_digest(err, "a log file without a SHA-256");
    }
    ret->logs = logs;
    ret->log_count = list.len;
    return logs != NULL || error_set(err, "T0005", "out of memory");
}

bool detect_digest_read(struct str text, const struct detect_file *file, struct arena *arena,
                        struct detect_digest *ret, struct str *ret_fingerprint, struct error *err)
{
    struct value v;
    struct detect_digest digest = {0};
    if (!json_parse(arena, text, &v, err))
        return bad_digest(err, "not JSON");
    if (!str_eq(value_path_str(v, "digestS3Bucket"), file->bucket) ||
        !str_eq(value_path_str(v, "digestS3Object"), file->key))
        return bad_digest(err, "it was made for another place");
    if (!str_is(value_path_str(v, "digestSignatureAlgorithm"), "SHA256withRSA"))
        return bad_digest(err, "not signed with SHA256withRSA");
    digest.account = value_path_str(v, "awsAccountId");
    digest.end = value_path_str(v, "digestEndTime");
    digest.previous = (struct detect_file){value_path_str(v, "previousDigestS3Bucket"),
                                           value_path_str(v, "previousDigestS3Object")};
    digest.previous_signature = value_path_str(v, "previousDigestSignature");
    if (digest.previous.bucket.len &&
        !read_hash(v, "previousDigestHashValue", "previousDigestHashAlgorithm",
                   &digest.previous_hash))
        return bad_digest(err, "no SHA-256 of the digest before");
    const struct value *logs = value_get(v, STR("logFiles"));
    if (!read_logs(logs ? *logs : value_null(), arena, &digest, err))
        return false;
    *ret_fingerprint = value_path_str(v, "digestPublicKeyFingerprint");
    *ret = digest;
    return true;
}

bool detect_digest_check(struct str text, const struct detect_digest *digest,
                         const struct detect_file *file, struct str key, struct str signature,
                         struct arena *arena, struct error *err)
{
    char hex[2 * HASH_SHA256_SIZE + 1];
    unsigned char bytes[1024];
    struct sha256 hash = hash_sha256(text.ptr, text.len);
    struct str before = digest->previous_signature;
    hash_hex(hash.bytes, sizeof hash.bytes, hex);
    const char *signed_text = arena_printf(arena, "%.*s\n%.*s/%.*s\n%s\n%.*s", STR_FMT(digest->end),
                                           STR_FMT(file->bucket), STR_FMT(file->key), hex,
                                           STR_FMT(before.len ? before : STR("null")));
    size_t size = signature.len / 2;
    if (!signed_text)
        return error_set(err, "T0005", "out of memory");
    if (size == 0 || size > sizeof bytes || !hash_from_hex(signature, bytes, size))
        return bad_digest(err, "no signature");
    if (!hash_rsa_verify(key, str_from(signed_text), (struct str){(char *)bytes, size}))
        return bad_digest(err, "its signature does not hold");
    return true;
}

/* Metadata is headers, whose names have no case. */
static struct str metadata_of(const struct detect_fetched *fetched, const char *name)
{
    struct value map = fetched->metadata;
    for (uint32_t i = 0; map.kind == VALUE_MAP && i < map.len; i++)
        if (str_eq_nocase(value_str(map.pairs[i].key), str_from(name)))
            return value_str(map.pairs[i].value);
    return (struct str){0};
}

/* .../CloudTrail-Digest/REGION/2026/... */
static struct str region_of(struct str key)
{
    static const char folder[] = "/CloudTrail-Digest/";
    size_t at = str_find(key, str_from(folder));
    struct str rest = str_sub(key, at == SIZE_MAX ? key.len : at + sizeof folder - 1, 64);
    return str_cut(&rest, '/');
}

/* CloudTrail's key of that fingerprint, among those it used until the digest's end. */
static enum detect_fetch find_key(const struct detect_trail *trail, const struct detect_file *file,
                                  const struct detect_digest *digest, struct str fingerprint,
                                  struct arena *arena, struct str *ret, struct error *err)
{
    struct value_builder input = {.arena = arena};
    struct aws_answer answer;
    int64_t end_ms;
    if (!clock_parse(digest->end, &end_ms)) {
        bad_digest(err, "no time at which it ends");
        return FETCH_REFUSED;
    }
    struct value from = {.kind = VALUE_TIMESTAMP, .i = end_ms / 1000 - 7200};
    struct value until = {.kind = VALUE_TIMESTAMP, .i = end_ms / 1000 + 1};
    value_set(&input, "StartTime", from);
    value_set(&input, "EndTime", until);
    struct aws_call call = {.operation = trail->keys,
                            .input = value_finish_map(&input),
                            .region = region_of(file->key),
                            .access = {.role = trail->source->role}};
    aws_call_pages(trail->caller, &call, arena, &answer);
    if (answer.outcome != AWS_OK) {
        error_set(err, "T0012", "cloudtrail:ListPublicKeys: %.*s: %.*s", STR_FMT(answer.code),
                  STR_FMT(answer.message));
        return answer.outcome == AWS_REFUSED ? FETCH_REFUSED : FETCH_LATER;
    }
    const struct value *list = value_get(answer.output, STR("PublicKeyList"));
    for (uint32_t i = 0; list && list->kind == VALUE_LIST && i < list->len; i++) {
        const struct value *key = value_get(list->items[i], STR("Value"));
        if (key && str_eq(value_path_str(list->items[i], "Fingerprint"), fingerprint)) {
            *ret = value_str(*key);
            return FETCH_GOOD;
        }
    }
    bad_digest(err, "CloudTrail knows no key of its fingerprint");
    return FETCH_REFUSED;
}

enum detect_fetch detect_trail_digest(const struct detect_trail *trail,
                                      const struct detect_file *file, struct arena *arena,
                                      struct detect_digest *ret, struct error *err)
{
    struct detect_fetched fetched;
    struct str fingerprint, key;
    enum detect_fetch got = detect_trail_fetch(trail, file, arena, &fetched, err);
    if (got != FETCH_GOOD)
        return got;
    if (!detect_digest_read(fetched.text, file, arena, ret, &fingerprint, err))
        return FETCH_REFUSED;
    got = find_key(trail, file, ret, fingerprint, arena, &key, err);
    if (got != FETCH_GOOD)
        return got;
    return detect_digest_check(fetched.text, ret, file, key, metadata_of(&fetched, "signature"),
                               arena, err)
               ? FETCH_GOOD
               : FETCH_REFUSED;
}

enum detect_fetch detect_trail_previous(const struct detect_trail *trail,
                                        const struct detect_digest *digest, struct arena *arena,
                                        struct error *err)
{
    struct detect_fetched fetched;
    if (digest->previous.bucket.len == 0)
        return FETCH_GOOD;
    enum detect_fetch got = detect_trail_fetch(trail, &digest->previous, arena, &fetched, err);
    if (got == FETCH_LATER)
        return got;
    if (got == FETCH_REFUSED) {
        struct error why = *err;
        error_set(err, "T0016", "the digest before it cannot be had: %s", why.message);
        return FETCH_REFUSED;
    }
    if (memcmp(fetched.hash.bytes, digest->previous_hash.bytes, HASH_SHA256_SIZE) != 0)
        error_set(err, "T0016", "the digest before it (%.*s) was changed",
                  STR_FMT(digest->previous.key));
    else if (!str_eq_nocase(metadata_of(&fetched, "signature"), digest->previous_signature))
        error_set(err, "T0016", "the digest before it (%.*s) has another signature",
                  STR_FMT(digest->previous.key));
    else
        return FETCH_GOOD;
    return FETCH_REFUSED;
}
