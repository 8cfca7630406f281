// SPDX-License-Identifier: Apache-2.0
/* Both paths of the tokenizer leave the same behind; the document reader's text is read back as the
 * same value, and what it refuses the matcher refuses too. */
#include "pattern/pattern.h"
#include "value/json.h"
#include "value/json_scan.h"

#include "base/ensure.h"
#include "base/limits.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    struct json_scan scan;
    enum json_scan_error error;
    size_t at;
};

static struct result run(struct str text,
                         enum json_scan_error (*scan)(struct json_scan *, size_t *))
{
    struct result r = {.scan.text = text};
    r.scan.ends = malloc(JSON_SCAN_ENDS(text.len) * sizeof *r.scan.ends);
    r.scan.escapes = malloc(JSON_SCAN_ESCAPES(text.len) * sizeof *r.scan.escapes);
    ENSURE(r.scan.ends && r.scan.escapes);
    r.error = scan(&r.scan, &r.at);
    return r;
}

static void check_scans(struct str text)
{
    struct result plain = run(text, json_scan_plain), fast = run(text, json_scan_fast);
    ENSURE(plain.error == fast.error);
    if (plain.error) {
        ENSURE(plain.at == fast.at && plain.at <= text.len);
    } else {
        ENSURE(plain.scan.end_count == fast.scan.end_count &&
               plain.scan.has_escapes == fast.scan.has_escapes);
        for (size_t i = 0; i < plain.scan.end_count; i++)
            ENSURE(plain.scan.ends[i] == fast.scan.ends[i]);
        for (size_t i = 0; i < text.len; i++)
            ENSURE(json_has_escape(&plain.scan, i, i + 1) == (text.ptr[i] == '\\'));
    }
    free(plain.scan.ends);
    free(plain.scan.escapes);
    free(fast.scan.ends);
    free(fast.scan.escapes);
}

/* One set for the whole run: a few paths, so that both ways of walking are taken. */
static struct pattern_scratch *matcher(const struct pattern_set **ret_set)
{
    static struct pattern_set *set;
    static struct pattern_scratch *scratch;
    if (!set) {
        struct pattern_builder *builder = pattern_builder_create();
        ENSURE(pattern_builder_add(builder, STR("{\"a\":{\"b\":[1]},\"c\":[{\"exists\":true}]}"), 0,
                                   NULL));
        set = pattern_builder_finish(builder, NULL);
        pattern_builder_destroy(builder);
        scratch = pattern_scratch_create(set);
        ENSURE(scratch);
    }
    *ret_set = set;
    return scratch;
}

static void check_matcher(struct str text, bool read, const struct value *v,
                          const struct error *why)
{
    const struct pattern_options refuse = {.duplicate_keys = PATTERN_DUPLICATES_REFUSE};
    const struct pattern_set *set;
    struct pattern_scratch *scratch = matcher(&set);
    const uint32_t *tags;
    size_t count;
    struct error err = {0};
    bool matched = pattern_match(set, text, &refuse, scratch, &tags, &count, &err);
    bool plain = pattern_match(set, text, NULL, scratch, &tags, &count, NULL);
    if (text.len > LIMIT_EVENT_BYTES)
        return;
    if (read)
        ENSURE(matched == (v->kind == VALUE_MAP));
    else if (!str_is(str_from(why->code), "V0005")) // the matcher takes numbers of any size
        ENSURE(!matched);
    if (matched)
        ENSURE(plain);
    else if (!str_is(str_from(err.code), PATTERN_ERROR_DUPLICATE_KEY))
        ENSURE(!plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_AUTO struct arena arena = {0};
    struct str text = {(const char *)data, size};
    struct error err = {0};
    struct value v, again;
    check_scans(text);
    bool read = json_parse(&arena, text, &v, &err);
    if (!read)
        ENSURE(err.code && err.line >= 1);
    check_matcher(text, read, &v, &err);
    for (int style = JSON_COMPACT; read && style <= JSON_PRETTY; style++) {
        struct buf out = {.arena = &arena};
        json_write(&out, v, (enum json_style)style);
        ENSURE(json_parse(&arena, buf_str(&out), &again, NULL) && value_equal(v, again));
    }
    return 0;
}
