// SPDX-License-Identifier: Apache-2.0
/* Input: what a queue hands over, or a digest. Files are announced with a bucket and a key, never
 * more than may be; what is no announcement is handed on as it came, or as SNS had wrapped it; a
 * digest that is read lists files with hashes, and none is believed by a key that is none. */
#include "detect/trail.h"

#include "base/ensure.h"
#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_AUTO struct arena arena = {0};
    struct str body = {(const char *)data, size}, fingerprint;
    const struct str buckets[] = {STR("trail")};
    const struct policy_source source = {.type = SOURCE_SQS, .buckets = buckets, .bucket_count = 1};
    const struct detect_file place = {STR("trail"), STR("k")};
    struct detect_content content;
    struct detect_digest digest;
    struct error err;
    if (detect_content_read(body, &source, &arena, &content, &err)) {
        ENSURE((content.kind == CONTENT_FILES) == (content.file_count > 0));
        ENSURE(content.file_count <= LIMIT_ANNOUNCED_FILES);
        ENSURE(content.kind != CONTENT_EVENTS || content.events.len <= size);
        for (size_t i = 0; i < content.file_count; i++)
            (void)detect_trail_kind(content.files[i].key);
    }
    if (detect_digest_read(body, &place, &arena, &digest, &fingerprint, &err)) {
        ENSURE(digest.log_count <= LIMIT_DIGEST_FILES);
        ENSURE(!detect_digest_check(body, &digest, &place, fingerprint, digest.previous_signature,
                                    &arena, &err));
    }
    return 0;
}
