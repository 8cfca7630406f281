// SPDX-License-Identifier: Apache-2.0
/* What was found, counted. A match is known by policy, event and resource: a set of 32-byte marks
 * (open addressing) keeps copies of one event from counting twice and remembers which side, the
 * policies now or before, had it. Rows count by policy, account, actor and day.
 *
 *   marks   [ hash 128 | resource's hash 64 | policy 32 | sides 32 ] ...
 *
 * One mutex: matches are few beside events, and each has cost thousands of instructions before. */
#include "replay/replay_internal.h"

#include "base/ensure.h"
#include "base/hash.h"
#include "base/map.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct mark {
    uint64_t a, b;
    uint64_t resource;
    uint32_t policy;
    uint32_t sides; // 0 = free
};

struct named {
    struct str name;
    uint32_t index, sides;
};

struct replay_tally {
    pthread_mutex_t lock;
    struct arena arena;
    struct map policies; // struct named
    size_t policy_count;
    struct map rows; // struct replay_row
    size_t row_count;
    struct mark *marks;
    size_t cap, count, max;
};

struct replay_tally *replay_tally_create(size_t max)
{
    struct replay_tally *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->cap = 1024;
    t->marks = calloc(t->cap, sizeof *t->marks);
    if (!t->marks || pthread_mutex_init(&t->lock, NULL) != 0) {
        free(t->marks);
        free(t);
        return NULL;
    }
    t->max = max;
    t->policies.arena = t->rows.arena = &t->arena;
    return t;
}

void replay_tally_destroy(struct replay_tally *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    arena_finish(&t->arena);
    free(t->marks);
    free(t);
}

bool replay_tally_name(struct replay_tally *t, struct str policy, enum replay_side side)
{
    struct named *named = map_get(&t->policies, policy);
    if (!named) {
        named = ARENA_NEW(&t->arena, struct named);
        struct str name = str_copy(&t->arena, policy);
        if (!named || !name.ptr || !map_set(&t->policies, name, named))
            return false;
        *named = (struct named){name, (uint32_t)t->policy_count++, 0};
    }
    named->sides |= side;
    return true;
}

static struct mark *slot_of(struct mark *marks, size_t cap, uint64_t a, uint64_t b)
{
    size_t i = (size_t)a & (cap - 1);
    while (marks[i].sides && (marks[i].a != a || marks[i].b != b))
        i = (i + 1) & (cap - 1);
    return &marks[i];
}

static bool grow(struct replay_tally *t)
{
    size_t cap = t->cap * 2;
    struct mark *marks = calloc(cap, sizeof *marks);
    if (!marks)
        return false;
    for (size_t i = 0; i < t->cap; i++)
        if (t->marks[i].sides)
            *slot_of(marks, cap, t->marks[i].a, t->marks[i].b) = t->marks[i];
    free(t->marks);
    t->marks = marks;
    t->cap = cap;
    return true;
}

static struct mark mark_of(const struct replay_match *m, const struct named *policy)
{
    char index[16];
    int len = snprintf(index, sizeof index, "%u", policy->index);
    const struct str pieces[] = {
        {index, (size_t)len}, STR("\n"), m->event_key, STR("\n"), m->resource};
    struct sha256 hash = hash_sha256_pieces(pieces, sizeof pieces / sizeof *pieces);
    struct mark mark = {.policy = policy->index, .sides = m->side};
    memcpy(&mark.a, hash.bytes, sizeof mark.a);
    memcpy(&mark.b, hash.bytes + sizeof mark.a, sizeof mark.b);
    mark.resource = hash_bytes(m->resource.ptr, m->resource.len, 1);
    return mark;
}

static bool count_row(struct replay_tally *t, const struct replay_match *m,
                      const struct named *policy)
{
    struct arena arena ARENA_AUTO = {0};
    struct buf key = {.arena = &arena};
    buf_printf(&key, "%u\n%.*s\n%.*s\n%.*s", policy->index, STR_FMT(m->day), STR_FMT(m->account),
               STR_FMT(m->actor));
    struct replay_row *row = map_get(&t->rows, buf_str(&key));
    if (!row) {
        struct str kept = str_copy(&t->arena, buf_str(&key));
        row = ARENA_NEW(&t->arena, struct replay_row);
        if (!kept.ptr || !row)
            return false;
        row->policy = policy->name;
        row->account = str_copy(&t->arena, m->account);
        row->actor = str_copy(&t->arena, m->actor);
        row->day = str_copy(&t->arena, m->day);
        if (!map_set(&t->rows, kept, row))
            return false;
        t->row_count++;
    }
    if (m->side == REPLAY_NOW)
        row->matches++;
    else
        row->before++;
    return true;
}

/* The mark's side is set; *ret_fresh: it was not. */
static bool set_mark(struct replay_tally *t, struct mark mark, bool *ret_fresh, struct error *err)
{
    if (t->count + t->count / 2 >= t->cap && !grow(t))
        return error_set(err, "Y0003", "out of memory");
    struct mark *slot = slot_of(t->marks, t->cap, mark.a, mark.b);
    if (!slot->sides) {
        if (t->count >= t->max) {
            error_set(err, "Y0004", "more than %zu matches", t->max);
            return error_hint(err, "replay fewer days or fewer policies at once");
        }
        t->count++;
        *slot = mark;
        *ret_fresh = true;
        return true;
    }
    *ret_fresh = !(slot->sides & mark.sides);
    slot->sides |= mark.sides;
    return true;
}

bool replay_tally_add(struct replay_tally *t, const struct replay_match *match, bool *ret_fresh,
                      struct error *err)
{
    bool fresh = false;
    const struct named *policy = map_get(&t->policies, match->policy);
    ENSURE(policy);
    struct mark mark = mark_of(match, policy);
    pthread_mutex_lock(&t->lock);
    bool ok = set_mark(t, mark, &fresh, err);
    if (ok && fresh && !count_row(t, match, policy))
        ok = error_set(err, "Y0003", "out of memory");
    pthread_mutex_unlock(&t->lock);
    *ret_fresh = fresh;
    return ok;
}

/* ---- the result ---- */

static int compare_rows(const void *pa, const void *pb)
{
    const struct replay_row *a = pa, *b = pb;
    int order = str_compare(a->policy, b->policy);
    order = order ? order : str_compare(a->account, b->account);
    order = order ? order : str_compare(a->actor, b->actor);
    return order ? order : str_compare(a->day, b->day);
}

static int compare_policies(const void *pa, const void *pb)
{
    const struct replay_policy *a = pa, *b = pb;
    return str_compare(a->name, b->name);
}

static int compare_marks(const void *pa, const void *pb)
{
    const struct mark *a = pa, *b = pb;
    if (a->policy != b->policy)
        return a->policy < b->policy ? -1 : 1;
    return a->resource < b->resource ? -1 : a->resource > b->resource;
}

static void count_mark(struct replay_policy *p, uint32_t sides)
{
    p->matches += (sides & REPLAY_NOW) != 0;
    p->before += (sides & REPLAY_BEFORE) != 0;
    p->more += sides == REPLAY_NOW;
    p->less += sides == REPLAY_BEFORE;
}

/* Sorts the marks: the tally takes no more matches afterwards. */
static void count_marks(struct replay_tally *t, struct replay_policy *policies)
{
    size_t count = 0;
    const struct mark *last = NULL; // of those now
    for (size_t i = 0; i < t->cap; i++)
        if (t->marks[i].sides)
            t->marks[count++] = t->marks[i];
    qsort(t->marks, count, sizeof *t->marks, compare_marks);
    for (size_t i = 0; i < count; i++) {
        const struct mark *mark = &t->marks[i];
        count_mark(&policies[mark->policy], mark->sides);
        if (!(mark->sides & REPLAY_NOW))
            continue;
        if (!last || last->policy != mark->policy || last->resource != mark->resource)
            policies[mark->policy].resources++;
        last = mark;
    }
}

bool replay_tally_result(struct replay_tally *t, struct arena *arena, struct replay_result *ret)
{
    struct replay_policy *policies = ARENA_ARRAY(arena, struct replay_policy, t->policy_count + 1);
    struct replay_row *rows = ARENA_ARRAY(arena, struct replay_row, t->row_count + 1);
    if (!policies || !rows)
        return false;
    for (size_t i = 0; i < t->policies.cap; i++) {
        const struct named *named = t->policies.slots[i].value;
        if (named)
            policies[named->index] =
                (struct replay_policy){.name = str_copy(arena, named->name),
                                       .is_new = named->sides == REPLAY_NOW,
                                       .is_gone = named->sides == REPLAY_BEFORE};
    }
    count_marks(t, policies);
    for (size_t i = 0, n = 0; i < t->rows.cap; i++) {
        const struct replay_row *row = t->rows.slots[i].value;
        if (row)
            rows[n++] = (struct replay_row){str_copy(arena, row->policy),
                                            str_copy(arena, row->account),
                                            str_copy(arena, row->actor),
                                            str_copy(arena, row->day),
                                            row->matches,
                                            row->before};
    }
    qsort(policies, t->policy_count, sizeof *policies, compare_policies);
    qsort(rows, t->row_count, sizeof *rows, compare_rows);
    ret->policies = policies;
    ret->policy_count = t->policy_count;
    ret->rows = rows;
    ret->row_count = t->row_count;
    return true;
}
