// SPDX-License-Identifier: Apache-2.0
/* All paths of the tokenizer leave the same behind; the document reader's text is read back as the
 * same value, and what it refuses the matcher refuses too. */
#include "pattern/pattern_internal.h"
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

static void free_result(struct result *r)
{
    free(r->scan.ends);
    free(r->scan.escapes);
}

static void check_scan(const struct result *plain,
                       enum json_scan_error (*scan)(struct json_scan *, size_t *))
{
    struct result fast = run(plain->scan.text, scan);
    ENSURE(plain->error == fast.error);
    if (plain->error) {
        ENSURE(plain->at == fast.at && plain->at <= plain->scan.text.len);
    } else {
        ENSURE(plain->scan.end_count == fast.scan.end_count &&
               plain->scan.has_escapes == fast.scan.has_escapes);
        for (size_t i = 0; i <= plain->scan.end_count; i++)
            ENSURE(plain->scan.ends[i] == fast.scan.ends[i]);
        for (size_t i = 0; i < plain->scan.text.len; i++)
            ENSURE(json_has_escape(&fast.scan, i, i + 1) == (plain->scan.text.ptr[i] == '\\'));
    }
    free_result(&fast);
}

static void check_scans(struct str text)
{
    struct result plain = run(text, json_scan_plain);
    check_scan(&plain, json_scan);
    if (json_scan_has_avx2())
        check_scan(&plain, json_scan_avx2);
    if (json_scan_has_avx512())
        check_scan(&plain, json_scan_avx512);
    free_result(&plain);
}

/* One set for the whole run: a few paths, so that both ways of walking are taken. */
static struct pattern_scratch *matcher(const struct pattern_set **ret_set, bool portable)
{
    static struct pattern_set *set;
    static struct pattern_scratch *scratch, *plain;
    if (!set) {
        struct pattern_builder *builder = pattern_builder_create();
        ENSURE(pattern_builder_add(builder, STR("{\"a\":{\"b\":[1]},\"c\":[{\"exists\":true}]}"), 0,
                                   NULL));
        set = pattern_builder_finish(builder, NULL);
        pattern_builder_destroy(builder);
        scratch = pattern_scratch_create(set);
        plain = pattern_scratch_create(set);
        ENSURE(scratch && plain);
        pattern_scratch_use_portable(plain);
    }
    *ret_set = set;
    return portable ? plain : scratch;
}

static void check_matcher(struct str text, bool read, const struct value *v,
                          const struct error *why)
{
    const struct pattern_options refuse = {.duplicate_keys = PATTERN_DUPLICATES_REFUSE};
    const struct pattern_set *set;
    struct pattern_scratch *scratch = matcher(&set, false), *portable = matcher(&set, true);
    const uint32_t *tags;
    size_t count;
    struct error err = {0}, portable_err = {0};
    bool same = pattern_match(set, text, &refuse, portable, &tags, &count, &portable_err);
    bool matched = pattern_match(set, text, &refuse, scratch, &tags, &count, &err);
    bool plain = pattern_match(set, text, NULL, scratch, &tags, &count, NULL);
    ENSURE(matched == same);
    ENSURE(matched || (str_is(str_from(err.code), portable_err.code) &&
                       err.line == portable_err.line && err.column == portable_err.column));
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
