// SPDX-License-Identifier: Apache-2.0
/* plan: what would be done about the resources of an event, of a scan, or about one, and nothing
 * is. Which they are is found here, with the read roles; what would be done about each is asked of
 * the store's owner, who knows the guards. */
#include "cli/plan_internal.h"

#include "base/ensure.h"
#include "base/hash.h"
#include "decide/decide.h"
#include "value/json.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 16
#define EXPIRES_DEFAULT_MS 3600000

struct candidate {
    struct engine_question question;
    struct value entry; // once asked
    struct arena arena; // of it
};

struct planning {
    struct running *r;
    struct desk *desk;
    struct engine_set *set;
    struct arena *arena;
    struct candidate *list;
    size_t count, cap;
    size_t unlisted; // places that could not be listed, events that could not be read
    pthread_mutex_t mutex;
    size_t next, done;
};

/* ---- the engine behind it ---- */

int plan_open(struct running *r, struct desk *desk, const struct cli_options *options)
{
    struct error err;
    if (!desk_open(desk, options, &err))
        return cli_fail(&err);
    r->store_later = true;
    r->policies_seen = true; // who only looks makes no approval void
    int code = running_prepare(r, options);
    if (code)
        return code;
    r->engine.store = desk->store;
    desk->api.engine = &r->engine;
    if (desk->store && !running_recall(r, &err))
        return cli_fail(&err);
    if (!desk->store)
        fprintf(stderr, "the daemon owns the store: it answers, by the policies that it has "
                        "loaded\n");
    return 0;
}

void plan_close(struct running *r, struct desk *desk)
{
    running_finish(r);
    desk_close(desk);
}

/* ---- which resources ---- */

static bool add(struct planning *p, const struct policy *policy, struct str resource,
                struct str region)
{
    if (p->r->options->policy && !str_glob(str_from(p->r->options->policy), policy->name))
        return true;
    for (size_t i = p->count; i-- > 0 && i + 100 > p->count;) // events repeat themselves
        if (str_eq(p->list[i].question.resource, resource) &&
            str_eq(p->list[i].question.policy, policy->name))
            return true;
    if (p->count == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 256;
        struct candidate *grown =
            arena_grow(p->arena, p->list, p->cap * sizeof *grown, cap * sizeof *grown);
        if (!grown)
            return false;
        p->list = grown;
        p->cap = cap;
    }
    p->list[p->count++] =
        (struct candidate){.question = {policy->name, str_from(policy->hash),
                                        str_copy(p->arena, resource), str_copy(p->arena, region)}};
    return true;
}

static bool add_event(struct planning *p, struct detect_scratch *scratch, struct str text,
                      struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct detect_result found;
    struct error why;
    bool ok = true;
    if (!detect_event(p->set->detector, scratch, text, NULL, clock_wall_ms(clock_system()), &arena,
                      &found, &why)) {
        cli_fail(&why);
        p->unlisted++;
        return true;
    }
    for (size_t i = 0; ok && i < found.match_count; i++)
        ok = add(p, found.matches[i].policy, found.matches[i].resource, found.matches[i].region);
    return ok || error_set(err, "E0007", "out of memory");
}

static bool add_events(struct planning *p, const char *path, struct error *err)
{
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, "L0008", "cannot read the events %s: %s", path, strerror(errno));
    struct detect_reader *reader = detect_reader_create(fd, err);
    struct detect_scratch *scratch = reader ? detect_scratch_create(p->set->detector) : NULL;
    bool ok = scratch != NULL || (reader && error_set(err, "E0007", "out of memory"));
    for (enum detect_read got = DETECT_READ_EVENT; ok && got != DETECT_READ_END;) {
        struct str text;
        struct error why;
        got = detect_reader_next(reader, &text, &why);
        if (got == DETECT_READ_EVENT)
            ok = add_event(p, scratch, text, err);
        p->unlisted += got == DETECT_READ_BAD;
        if (got == DETECT_READ_BAD)
            cli_fail(&why);
    }
    detect_scratch_destroy(scratch);
    detect_reader_destroy(reader);
    close(fd);
    return ok;
}

static bool add_place(struct planning *p, const struct engine_place *place, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct resource resource;
    struct decide_finding finding;
    struct value ids;
    struct str key;
    struct error why;
    engine_list_place(&p->r->engine, p->set->policies, place, &arena, &resource, &finding, &ids);
    if (finding.verdict == VERDICT_UNREAD) {
        error_set(&why, "E0010", "%.*s in %.*s of %.*s: %.*s", STR_FMT(place->policy->name),
                  STR_FMT(place->region), STR_FMT(place->account), STR_FMT(finding.reason));
        cli_fail(&why);
        p->unlisted++;
    }
    for (uint32_t i = 0; i < ids.len; i++) {
        resource.id = value_str(ids.items[i]);
        if (ids.items[i].kind != VALUE_STRING || !resource_key(&resource, &arena, &key, &why))
            p->unlisted++;
        else if (!add(p, place->policy, key, place->region))
            return error_set(err, "E0007", "out of memory");
    }
    return true;
}

static bool add_scan(struct planning *p, const struct engine_scan_options *options,
                     struct error *err)
{
    struct engine_place *places;
    size_t count;
    struct error why;
    if (!engine_discover(&p->r->engine, p->set->policies, &why)) {
        cli_fail(&why);
        p->unlisted++;
    }
    bool ok =
        engine_places(&p->r->engine, p->set->policies, options, p->arena, &places, &count, err);
    for (size_t i = 0; ok && i < count; i++) {
        running_show_bar(p->r, i, count, "lists");
        ok = add_place(p, &places[i], err);
    }
    return ok;
}

/* --resource: a whole key, or an id in --account and --region. */
static bool add_one(struct planning *p, const struct engine_scan_options *options,
                    struct error *err)
{
    const char *name = p->r->options->policy;
    const struct policy *policy = name ? policy_set_find(p->set->policies, str_from(name)) : NULL;
    struct str id = str_from(p->r->options->resource), key = id;
    struct str region = options->region_count ? options->regions[0] : p->r->engine.region;
    struct resource resource;
    if (!policy)
        return error_set(err, "E0014", "--resource wants --policy, one policy's whole name");
    if (resource_parse(id, &resource)) {
        if (!str_is(resource.region, "global"))
            region = resource.region;
    } else {
        resource = (struct resource){.partition = resource_partition(region),
                                     .account = options->account,
                                     .region = policy->global ? STR("global") : region,
                                     .type = policy->resource_type,
                                     .id = id};
        if ((!resource.account.len &&
             !engine_own_account(&p->r->engine, p->arena, &resource.account, err)) ||
            !resource_key(&resource, p->arena, &key, err))
            return false;
    }
    return add(p, policy, key, region) || error_set(err, "E0007", "out of memory");
}

/* ---- asking about each ---- */

static void ask(struct planning *p, struct candidate *c)
{
    struct value_builder body = {.arena = &c->arena}, failed = {.arena = &c->arena};
    struct buf text = {.arena = &c->arena};
    struct error err;
    value_set(&body, "policy", value_string(c->question.policy));
    value_set(&body, "policy_hash", value_string(c->question.policy_hash));
    value_set(&body, "resource", value_string(c->question.resource));
    value_set(&body, "region", value_string(c->question.region));
    json_write(&text, value_finish_map(&body), JSON_COMPACT);
    struct desk_question question = {.method = "POST", .path = "/plan", .body = buf_str(&text)};
    if (desk_ask(p->desk, &question, &c->arena, &c->entry, &err))
        return;
    value_set(&failed, "policy", value_string(c->question.policy));
    value_set(&failed, "resource", value_string(c->question.resource));
    value_set(&failed, "error",
              value_cstr(arena_printf(&c->arena, "%s: %s", err.code, err.message)));
    c->entry = value_finish_map(&failed);
}

static void *ask_some(void *arg)
{
    struct planning *p = arg;
    pthread_mutex_lock(&p->mutex);
    while (p->next < p->count) {
        struct candidate *c = &p->list[p->next++];
        pthread_mutex_unlock(&p->mutex);
        ask(p, c);
        pthread_mutex_lock(&p->mutex);
        running_show_bar(p->r, ++p->done, p->count, "resources");
    }
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

static void ask_all(struct planning *p)
{
    pthread_t threads[THREADS];
    size_t started = 0;
    while (started + 1 < THREADS && started + 1 < p->count &&
           pthread_create(&threads[started], NULL, ask_some, p) == 0)
        started++;
    ask_some(p);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    running_end_bar(p->r);
}

/* ---- the document ---- */

bool plan_entry_acts(struct value entry)
{
    static const enum decide_action acts[] = {DECIDE_ACT, DECIDE_ASK, DECIDE_HOLD};
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (str_is(value_path_str(entry, "action"), decide_action_name(acts[i])))
            return true;
    return false;
}

bool plan_hash(struct value document, struct arena *arena, char ret[65])
{
    struct value_builder rest = {.arena = arena};
    struct buf text = {.arena = arena};
    for (uint32_t i = 0; i < document.len; i++)
        if (!str_is(value_str(document.pairs[i].key), "hash"))
            value_set_str(&rest, value_str(document.pairs[i].key), document.pairs[i].value);
    json_write(&text, value_finish_map(&rest), JSON_CANONICAL);
    struct str whole = buf_str(&text);
    if (!whole.ptr)
        return false;
    struct sha256 hash = hash_sha256(whole.ptr, whole.len);
    hash_hex(hash.bytes, sizeof hash.bytes, ret);
    return true;
}

static int compare_candidates(const void *pa, const void *pb)
{
    const struct candidate *a = pa, *b = pb;
    int order = str_compare(a->question.policy, b->question.policy);
    return order ? order : str_compare(a->question.resource, b->question.resource);
}

/* What one counts as: its action, else its verdict. */
static const char *class_of(struct value entry, struct arena *arena)
{
    struct str word = value_path_str(entry, "action");
    if (!word.len)
        word = value_path_str(entry, "verdict");
    const char *copy = word.len ? str_copy(arena, word).ptr : "error";
    return copy ? copy : "error";
}

static struct value summary(struct planning *p)
{
    struct value_builder out = {.arena = p->arena};
    for (size_t i = 0; i < p->count; i++) {
        const char *class = class_of(p->list[i].entry, p->arena);
        struct value so_far = value_finish_map(&out);
        const struct value *old = value_get(so_far, str_from(class));
        int64_t n = old ? old->i + 1 : 1;
        value_set(&out, class, value_int(n));
    }
    if (p->unlisted)
        value_set(&out, "unlisted", value_int((int64_t)p->unlisted));
    return value_finish_map(&out);
}

static struct value document(struct planning *p, int64_t expires_ms)
{
    struct value_builder out = {.arena = p->arena}, entries = {.arena = p->arena};
    int64_t now = clock_wall_ms(clock_system());
    char created[CLOCK_TEXT_SIZE], expires[CLOCK_TEXT_SIZE], *hash = arena_alloc(p->arena, 65);
    clock_format(now, created);
    clock_format(now + expires_ms, expires);
    for (size_t i = 0; i < p->count; i++)
        value_push(&entries, p->list[i].entry);
    value_set(&out, "format", value_cstr(PLAN_FORMAT));
    value_set(&out, "created", value_string(str_copy(p->arena, str_from(created))));
    value_set(&out, "expires", value_string(str_copy(p->arena, str_from(expires))));
    value_set(&out, "expires_ms", value_int(now + expires_ms));
    value_set(&out, "entries", value_finish_list(&entries));
    value_set(&out, "summary", summary(p));
    if (!hash || !plan_hash(value_finish_map(&out), p->arena, hash))
        return value_null();
    value_set(&out, "hash", value_cstr(hash));
    return value_finish_map(&out);
}

/* Beside it first, so that a plan is whole or not there. */
static bool write_file(const char *path, struct value plan, struct arena *arena, struct error *err)
{
    struct buf text = {.arena = arena};
    const char *beside = arena_printf(arena, "%s.new", path);
    json_write(&text, plan, JSON_CANONICAL);
    buf_add_byte(&text, '\n');
    struct str whole = buf_str(&text);
    if (!beside || !whole.ptr)
        return error_set(err, "L0019", "out of memory");
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0;
    while (ok && whole.len) {
        ssize_t written = write(fd, whole.ptr, whole.len);
        ok = written > 0;
        whole = str_sub(whole, ok ? (size_t)written : 0, SIZE_MAX);
    }
    ok = ok && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    if (ok && rename(beside, path) == 0)
        return true;
    error_set(err, "L0019", "the plan cannot be written to %s: %s", path, strerror(errno));
    unlink(beside);
    return false;
}

static int show(struct planning *p, int64_t expires_ms)
{
    const struct cli_options *o = p->r->options;
    struct buf text = {.arena = p->arena};
    struct error err;
    size_t acting = 0, bad = p->unlisted;
    struct value plan = document(p, expires_ms);
    if (plan.kind != VALUE_MAP) {
        error_set(&err, "L0019", "out of memory");
        return cli_fail(&err);
    }
    for (size_t i = 0; i < p->count; i++) {
        const char *class = class_of(p->list[i].entry, p->arena);
        acting += plan_entry_acts(p->list[i].entry);
        bad += strcmp(class, "error") == 0 || strcmp(class, verdict_name(VERDICT_UNREAD)) == 0;
    }
    if (o->out && !write_file(o->out, plan, p->arena, &err))
        return cli_fail(&err);
    if (o->json) {
        cli_print_json(p->arena, plan);
    } else {
        plan_print(&text, plan);
        cli_print(&text);
    }
    if (o->out && acting)
        fprintf(stderr, "rectify apply %s does exactly this\n", o->out);
    return bad ? CLI_FAILED : acting && o->detailed_exitcode ? CLI_DIFFERENT : CLI_OK;
}

static int plan(struct planning *p)
{
    const struct cli_options *o = p->r->options;
    struct str regions[LIMIT_REGIONS];
    ENSURE(o != NULL);
    struct engine_scan_options options = {
        .policy = o->policy ? str_from(o->policy) : (struct str){0},
        .account = o->account ? str_from(o->account) : (struct str){0},
        .regions = regions};
    int64_t expires_ms = EXPIRES_DEFAULT_MS;
    struct error err;
    int code = cli_regions(o, regions, &options.region_count);
    if (code)
        return code;
    if (o->expires && (!clock_parse_duration(str_from(o->expires), &expires_ms) || !expires_ms))
        return cli_usage("--expires wants a time like 30m or 8h");
    bool ok = o->resource ? add_one(p, &options, &err)
              : o->events ? add_events(p, o->events, &err)
                          : add_scan(p, &options, &err);
    running_end_bar(p->r);
    if (!ok)
        return cli_fail(&err);
    ask_all(p);
    if (p->count)
        qsort(p->list, p->count, sizeof *p->list, compare_candidates);
    code = show(p, expires_ms);
    for (size_t i = 0; i < p->count; i++)
        arena_finish(&p->list[i].arena);
    return code;
}

int cli_plan(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct running r = {0};
    struct desk desk = {0};
    struct planning p = {
        .r = &r, .desk = &desk, .arena = &arena, .mutex = PTHREAD_MUTEX_INITIALIZER};
    if ((options->resource != NULL) + (options->events != NULL) + options->scan > 1)
        return cli_usage("--events, --scan and --resource exclude each other");
    int code = plan_open(&r, &desk, options);
    if (code == 0) {
        p.set = engine_rules_hold(r.rules);
        code = plan(&p);
        engine_rules_release(p.set);
    }
    plan_close(&r, &desk);
    return code;
}
