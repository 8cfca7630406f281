// SPDX-License-Identifier: Apache-2.0
/* The matcher's benchmark, one core: bench_pattern SHARED [ROW...]
 *
 * Reads events and rules below SHARED (../shared of the source tree), prints one line a row: median
 * and 99.9th percentile of nanoseconds an event, events a second, matches of one pass, how long the
 * rules took to compile and what they occupy. With ROW only rows whose name begins with it. Each
 * row warms up, then repeats passes for about a second; the median is over passes, in the thread's
 * own processor time, so that what else the machine does counts little. The percentile is over
 * events, each measured by itself as the least of a few passes; behind it, how many times the
 * median event that is, and the same of nanoseconds a byte: what is left when long events may take
 * longer. --json prints the same as JSON lines; --export DIR writes each row's rules
 * and events as files beside a list of them (rows.tsv): bench/peers/pattern_peers.py compares with
 * others by both. */
#include "pattern/pattern.h"
#include "value/json.h"
#include "value/json_scan.h"

#include "pattern_simdjson.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

#define PASSES_MIN 5
#define SINGLE_PASSES 7
#define PASSES_MAX 400
#define ROW_SECONDS 1.0
#define PADDING 64

struct texts {
    const char **items;
    size_t *lengths;
    size_t count, cap, bytes;
};

struct bench {
    struct arena arena;
    struct arena texts; // of events and rules, one behind the other as a stream has them
    const char *shared;
    char **only;
    int only_count;
    bool json;
    const char *export;
    struct texts trail, lots;
    const struct pattern_options *options;
};

static double read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static double processor_time(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "bench_pattern: %s: %s\n", what, detail);
    exit(2);
}

static void add_text(struct bench *b, struct texts *texts, struct str line)
{
    if (texts->count == texts->cap) {
        texts->cap = texts->cap ? texts->cap * 2 : 1024;
        texts->items = realloc(texts->items, texts->cap * sizeof *texts->items);
        texts->lengths = realloc(texts->lengths, texts->cap * sizeof *texts->lengths);
    }
    char *copy = arena_alloc(&b->texts, line.len + PADDING);
    if (!texts->items || !texts->lengths || !copy)
        die("memory", "out of it");
    memcpy(copy, line.ptr, line.len);
    texts->items[texts->count] = copy;
    texts->lengths[texts->count++] = line.len;
    texts->bytes += line.len;
}

static struct str read_gz(struct bench *b, const char *name)
{
    char path[4096], block[65536];
    struct buf out = {.arena = &b->arena};
    snprintf(path, sizeof path, "%s/%s", b->shared, name);
    gzFile file = gzopen(path, "rb");
    int got;
    if (!file)
        die("cannot open", path);
    while ((got = gzread(file, block, sizeof block)) > 0)
        buf_add(&out, block, (size_t)got);
    gzclose(file);
    return buf_str(&out);
}

static struct texts read_lines(struct bench *b, const char *name)
{
    struct texts texts = {0};
    struct str rest = read_gz(b, name);
    while (rest.ptr) {
        struct str line = str_trim(str_cut(&rest, '\n'));
        if (line.len)
            add_text(b, &texts, line);
    }
    return texts;
}

/* A CloudTrail record as EventBridge delivers it. */
static struct str envelope(struct bench *b, struct str record)
{
    struct value v;
    struct buf out = {.arena = &b->arena};
    if (!json_parse(&b->arena, record, &v, NULL))
        die("not JSON", record.ptr);
    struct str source = value_path_str(v, "eventSource"), kind = value_path_str(v, "eventType");
    source = str_cut(&source, '.');
    const char *detail_type =
        str_is(kind, "AwsConsoleSignIn")   ? "AWS Console Sign In via CloudTrail"
        : str_is(kind, "AwsServiceEvent")  ? "AWS Service Event via CloudTrail"
        : str_is(kind, "AwsConsoleAction") ? "AWS Console Action via CloudTrail"
                                           : "AWS API Call via CloudTrail";
    buf_printf(
        &out,
        "{\"version\":\"0\",\"id\":\"%.*s\",\"detail-type\":\"%s\",\"source\":\"aws.%.*s\","
        "\"account\":\"%.*s\",\"time\":\"%.*s\",\"region\":\"%.*s\",\"resources\":[],\"detail\":",
        STR_FMT(value_path_str(v, "eventID")), detail_type, STR_FMT(source),
        STR_FMT(value_path_str(v, "recipientAccountId")), STR_FMT(value_path_str(v, "eventTime")),
        STR_FMT(value_path_str(v, "awsRegion")));
    buf_add_str(&out, record);
    buf_add_byte(&out, '}');
    return buf_str(&out);
}

static bool wanted(const struct bench *b, const char *name)
{
    for (int i = 0; i < b->only_count; i++)
        if (strncmp(name, b->only[i], strlen(b->only[i])) == 0)
            return true;
    return b->only_count == 0;
}

static int compare_doubles(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

struct figures {
    double median_ns, compile_s;
    double p999_ns, single_ns; // of single events, single: their median
    double byte_times;         // the percentile of nanoseconds a byte over their median
    size_t matches, rules, bytes;
};

static size_t one_pass(const struct bench *b, const struct pattern_set *set,
                       struct pattern_scratch *scratch, const struct texts *events, double *each)
{
    size_t matches = 0;
    struct error err;
    double last = each ? now() : 0;
    for (size_t i = 0; i < events->count; i++) {
        const uint32_t *tags;
        size_t count;
        struct str event = {events->items[i], events->lengths[i]};
        if (!pattern_match(set, event, b->options, scratch, &tags, &count, &err))
            die("event refused", err.message);
        matches += count;
        if (each) {
            double t = now();
            if (t - last < each[i])
                each[i] = t - last;
            last = t;
        }
    }
    return matches;
}

static struct figures measure(const struct bench *b, const struct pattern_set *set,
                              const struct texts *events)
{
    struct pattern_scratch *scratch = pattern_scratch_create(set);
    double passes[PASSES_MAX], begin, *each = malloc(events->count * sizeof *each);
    double *bytes = malloc(events->count * sizeof *bytes);
    struct figures f = {0};
    int count = 0;
    if (!scratch || !each || !bytes)
        die("memory", "out of it");
    f.matches = one_pass(b, set, scratch, events, NULL);
    begin = now();
    while (count < PASSES_MAX && (count < PASSES_MIN || now() - begin < ROW_SECONDS)) {
        double start = processor_time();
        one_pass(b, set, scratch, events, NULL);
        passes[count++] = (processor_time() - start) / (double)events->count;
    }
    qsort(passes, (size_t)count, sizeof *passes, compare_doubles);
    f.median_ns = passes[count / 2] * 1e9;
    for (size_t i = 0; i < events->count; i++)
        each[i] = 1e9;
    for (int i = 0; i < SINGLE_PASSES; i++)
        one_pass(b, set, scratch, events, each);
    for (size_t i = 0; i < events->count; i++)
        bytes[i] = each[i] / (double)events->lengths[i];
    qsort(each, events->count, sizeof *each, compare_doubles);
    qsort(bytes, events->count, sizeof *bytes, compare_doubles);
    f.p999_ns = each[events->count * 999 / 1000] * 1e9;
    f.single_ns = each[events->count / 2] * 1e9;
    f.byte_times = bytes[events->count * 999 / 1000] / bytes[events->count / 2];
    pattern_scratch_destroy(scratch);
    free(each);
    free(bytes);
    return f;
}

static struct pattern_set *compile(const struct texts *rules, double *ret_seconds)
{
    struct error err = {0};
    double start = processor_time();
    struct pattern_builder *builder = pattern_builder_create();
    for (size_t i = 0; builder && i < rules->count; i++)
        if (!pattern_builder_add(builder, (struct str){rules->items[i], rules->lengths[i]},
                                 (uint32_t)i, &err))
            die("pattern refused", err.message);
    struct pattern_set *set = builder ? pattern_builder_finish(builder, &err) : NULL;
    *ret_seconds = processor_time() - start;
    pattern_builder_destroy(builder);
    if (!set)
        die("compile", err.message);
    return set;
}

static void print_row(const struct bench *b, const char *name, const struct texts *events,
                      const struct figures *f)
{
    double rate = 1e9 / f->median_ns;
    if (b->json) {
        printf("{\"engine\":\"rectify\",\"row\":\"%s\",\"ns\":%.1f,\"p999_ns\":%.0f,\"single_ns\":%"
               ".0f,\"byte_times\":%.1f,\"events\":%zu,"
               "\"matches\":%zu,\"rules\":%zu,\"compile_s\":%.6f,\"bytes\":%zu}\n",
               name, f->median_ns, f->p999_ns, f->single_ns, f->byte_times, events->count,
               f->matches, f->rules, f->compile_s, f->bytes);
    } else {
        printf("%-34s %9.0f ns %8.0f p99.9 %4.1fx %4.1fx/B %8.0fK/s %5.2f GB/s %9zu hits %7zu "
               "rules %7.0fK "
               "rules/s "
               "%5.0f B/rule\n",
               name, f->median_ns, f->p999_ns, f->single_ns > 0 ? f->p999_ns / f->single_ns : 0,
               f->byte_times, rate / 1e3,
               rate * (double)events->bytes / (double)events->count / 1e9, f->matches, f->rules,
               f->compile_s > 0 ? (double)f->rules / f->compile_s / 1e3 : 0,
               f->rules ? (double)f->bytes / (double)f->rules : 0);
    }
    fflush(stdout);
}

static FILE *open_export(const struct bench *b, const char *name, const char *mode)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", b->export, name);
    for (char *p = path + strlen(b->export); *p; p++)
        *p = *p == ' ' ? '-' : *p;
    FILE *file = fopen(path, mode);
    if (!file)
        die("cannot write", path);
    return file;
}

static void export_texts(const struct bench *b, const char *name, const struct texts *texts)
{
    FILE *file = open_export(b, name, "w");
    for (size_t i = 0; i < texts->count; i++)
        fprintf(file, "%.*s\n", (int)texts->lengths[i], texts->items[i]);
    fclose(file);
}

static void export_row(const struct bench *b, const char *name, const struct texts *rules,
                       const struct texts *events)
{
    FILE *rows = open_export(b, "rows.tsv", "a");
    fprintf(rows, "%s\t%s\n", name, events == &b->trail ? "trail" : "lots");
    fclose(rows);
    export_texts(b, name, rules);
    export_texts(b, events == &b->trail ? "trail" : "lots", events);
}

static void row(struct bench *b, const char *name, const struct texts *rules,
                const struct texts *events)
{
    double seconds, again;
    if (!wanted(b, name))
        return;
    if (b->export) {
        if (!b->options)
            export_row(b, name, rules, events);
        return;
    }
    pattern_set_destroy(compile(rules, &seconds)); // the first one also fetches the rules
    struct pattern_set *set = compile(rules, &again);
    seconds = again < seconds ? again : seconds;
    struct figures f = measure(b, set, events);
    f.rules = rules->count;
    f.compile_s = seconds;
    f.bytes = pattern_set_size(set);
    print_row(b, name, events, &f);
    pattern_set_destroy(set);
}

/* ---- rows ---- */

static void trail_rows(struct bench *b)
{
    static const char *const names[] = {"exact-1000", "exact-10000", "mixed-10",
                                        "mixed-100",  "mixed-1000",  "mixed-10000"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char file[128], name[128];
        snprintf(file, sizeof file, "bench/ct-rules-%s.jsonl.gz", names[i]);
        snprintf(name, sizeof name, "trail %s", names[i]);
        if (!wanted(b, name))
            continue;
        struct texts rules = read_lines(b, file);
        row(b, name, &rules, &b->trail);
    }
}

static void scale_rows(struct bench *b)
{
    static const char *const names[] = {"contains", "mid", "num", "ab", "absent"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char file[128], name[128];
        snprintf(file, sizeof file, "bench/sc-%s-1000.jsonl.gz", names[i]);
        snprintf(name, sizeof name, "scale %s-1000", names[i]);
        if (!wanted(b, name))
            continue;
        struct texts rules = read_lines(b, file);
        row(b, name, &rules, &b->trail);
    }
}

/* From 1 to 100,000: the mixed rules, then copies of them that each name another event as well. */
static void growth_rows(struct bench *b)
{
    struct texts base = read_lines(b, "bench/ct-rules-mixed-10000.jsonl.gz");
    for (size_t count = 1; count <= 100000; count *= 10) {
        char name[64];
        struct texts rules = {0};
        snprintf(name, sizeof name, "growth %zu", count);
        if (!wanted(b, name))
            continue;
        for (size_t i = 0; i < count; i++) {
            struct str rule = {base.items[i % base.count], base.lengths[i % base.count]};
            size_t at = str_find(rule, STR("\"eventName\":["));
            struct buf copy = {.arena = &b->arena};
            if (i < base.count || at == SIZE_MAX) {
                add_text(b, &rules, rule);
                continue;
            }
            buf_add(&copy, rule.ptr, at + 13);
            buf_printf(&copy, "\"Other%zu\",", i);
            buf_add_str(&copy, str_sub(rule, at + 13, SIZE_MAX));
            add_text(b, &rules, buf_str(&copy));
        }
        row(b, name, &rules, &b->trail);
    }
}

static void lots_rows(struct bench *b)
{
    char path[4096];
    struct value families;
    struct str text = {0};
    snprintf(path, sizeof path, "%s/bench/pattern-families.json", b->shared);
    text = read_gz(b, "bench/pattern-families.json"); // gzread passes plain files through
    if (!json_parse(&b->arena, text, &families, NULL))
        die("not JSON", path);
    for (uint32_t i = 0; i < families.len; i++) {
        char name[128];
        struct texts rules = {0};
        struct value list = families.pairs[i].value;
        snprintf(name, sizeof name, "lots %.*s", STR_FMT(value_str(families.pairs[i].key)));
        for (uint32_t j = 0; j < list.len; j++)
            add_text(b, &rules, value_str(list.items[j]));
        row(b, name, &rules, &b->lots);
        if (i == 0) {
            const struct pattern_options early = {.early_stop = true};
            b->options = &early;
            row(b, "lots EXACT early stop", &rules, &b->lots);
            b->options = NULL;
        }
    }
}

static void parse_row(struct bench *b, const char *name, const struct texts *events,
                      size_t (*pass)(const struct texts *))
{
    double passes[PASSES_MAX], begin = now();
    struct figures f = {0};
    int count = 0;
    if (!wanted(b, name) || b->export)
        return;
    f.matches = pass(events);
    while (count < PASSES_MAX && (count < PASSES_MIN || now() - begin < ROW_SECONDS)) {
        double start = processor_time();
        pass(events);
        passes[count++] = (processor_time() - start) / (double)events->count;
    }
    qsort(passes, (size_t)count, sizeof *passes, compare_doubles);
    f.median_ns = passes[count / 2] * 1e9;
    print_row(b, name, events, &f);
}

static size_t pass_simdjson(const struct texts *events)
{
    return simdjson_parse_all(events->items, events->lengths, events->count);
}

static size_t pass_scan(const struct texts *events,
                        enum json_scan_error (*scan)(struct json_scan *, size_t *))
{
    static uint32_t ends[JSON_SCAN_ENDS(1 << 20)];
    static uint64_t escapes[JSON_SCAN_ESCAPES(1 << 20)];
    size_t total = 0, at;
    for (size_t i = 0; i < events->count; i++) {
        struct json_scan s = {
            .text = {events->items[i], events->lengths[i]}, .ends = ends, .escapes = escapes};
        total += scan(&s, &at) == JSON_SCAN_OK;
    }
    return total;
}

static size_t pass_scan_avx512(const struct texts *events)
{
    return pass_scan(events, json_scan_avx512);
}

static size_t pass_scan_avx2(const struct texts *events)
{
    return pass_scan(events, json_scan_avx2);
}

static size_t pass_scan_plain(const struct texts *events)
{
    return pass_scan(events, json_scan_plain);
}

static size_t pass_document(const struct texts *events)
{
    struct arena arena = {0};
    size_t total = 0;
    for (size_t i = 0; i < events->count; i++) {
        struct value v;
        total += json_parse(&arena, (struct str){events->items[i], events->lengths[i]}, &v, NULL);
        arena_reset(&arena);
    }
    arena_finish(&arena);
    return total;
}

static void parse_rows(struct bench *b)
{
    static const char *const implementations[] = {"haswell", "icelake"};
    struct {
        const char *name;
        const struct texts *texts;
    } sets[] = {{"trail", &b->trail}, {"lots", &b->lots}};
    for (size_t i = 0; i < 2; i++) {
        char name[128];
        for (size_t j = 0; j < 2; j++) {
            snprintf(name, sizeof name, "json simdjson-%s %s", implementations[j], sets[i].name);
            if (simdjson_choose(implementations[j]))
                parse_row(b, name, sets[i].texts, pass_simdjson);
        }
        snprintf(name, sizeof name, "json document %s", sets[i].name);
        parse_row(b, name, sets[i].texts, pass_document);
        snprintf(name, sizeof name, "json scan-avx512 %s", sets[i].name);
        if (json_scan_has_avx512())
            parse_row(b, name, sets[i].texts, pass_scan_avx512);
        snprintf(name, sizeof name, "json scan-avx2 %s", sets[i].name);
        if (json_scan_has_avx2())
            parse_row(b, name, sets[i].texts, pass_scan_avx2);
        snprintf(name, sizeof name, "json scan-plain %s", sets[i].name);
        parse_row(b, name, sets[i].texts, pass_scan_plain);
    }
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    int at = 1;
    b.json = argc > at && strcmp(argv[at], "--json") == 0;
    at += b.json;
    if (argc > at + 1 && strcmp(argv[at], "--export") == 0) {
        b.export = argv[at + 1];
        at += 2;
    }
    if (argc <= at) {
        fprintf(stderr, "usage: bench_pattern [--json] [--export DIR] SHARED [ROW...]\n");
        return 2;
    }
    b.shared = argv[at++];
    b.only = argv + at;
    b.only_count = argc - at;
    struct texts records = read_lines(&b, "events/cloudtrail.jsonl.gz");
    for (size_t i = 0; i < records.count; i++)
        add_text(&b, &b.trail, envelope(&b, (struct str){records.items[i], records.lengths[i]}));
    b.lots = read_lines(&b, "bench/citylots2-like-20k.jsonl.gz");
    parse_rows(&b);
    trail_rows(&b);
    scale_rows(&b);
    lots_rows(&b);
    growth_rows(&b);
    arena_finish(&b.arena);
    arena_finish(&b.texts);
    return 0;
}
