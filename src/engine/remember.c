// SPDX-License-Identifier: Apache-2.0
/* What guards remember between remediations, as notes in the store:
 *
 *   freeze/all, freeze/ACCOUNT     a person stopped everything, or an account
 *   rest/POLICY RESOURCE           it was taken back: left alone until its state changes
 *   grace/POLICY RESOURCE          when the violation was first seen
 *   exempt/N/POLICY RESOURCE       who set the tags that exemption N rests on, and what they were
 *   made/POLICY RESOURCE           who made the resource, when an exemption rests on its name
 *
 * A note that cannot be read stops the step, as any failure of the store does. */
#include "engine/rules_internal.h"
#include "engine/step_internal.h"

#include "base/hash.h"
#include "value/json.h"

#include <stdio.h>

#define DAY_MS INT64_C(86400000)
#define NOTE_KEPT_MS (90 * DAY_MS) // of a resource that is not seen any more
#define GRACE_TOUCH_MS 3600000     // how exact "last seen" is
#define NOTE_TOUCH_MS DAY_MS       // how exact "not seen any more" is
#define EXEMPTIONS_MAX 64          // of one policy that rest on tags

/* Long ones by their hash: the key is bounded, the resource's id nearly so. */
static struct str note_key(struct arena *arena, const char *kind, struct str policy,
                           struct str resource)
{
    struct str whole = STR_JOIN(arena, policy, STR(" "), resource);
    char hex[65];
    if (whole.len > STORE_NOTE_KEY_BYTES / 2) {
        struct sha256 hash = hash_sha256(whole.ptr, whole.len);
        hash_hex(hash.bytes, sizeof hash.bytes, hex);
        return str_from(arena_printf(arena, "%s/#%s", kind, hex));
    }
    return str_from(arena_printf(arena, "%s/%.*s", kind, STR_FMT(whole)));
}

static struct value note_value(struct step *s, const struct store_note *note)
{
    struct value v;
    struct error ignored;
    if (!note->body.len || !json_parse(s->arena, note->body, &v, &ignored))
        return value_null();
    return v;
}

static int64_t note_int(struct value note, const char *name)
{
    const struct value *n = value_get(note, str_from(name));
    return n && n->kind == VALUE_INT ? n->i : 0;
}

/* Without a body the note is forgotten. */
static bool write_note(struct engine *engine, struct str key, struct value_builder *body,
                       struct arena *arena, struct error *err)
{
    struct buf text = {.arena = arena};
    if (body)
        json_write(&text, value_finish_map(body), JSON_CANONICAL);
    struct store_note note = {key, buf_str(&text), clock_wall_ms(engine->clock) + NOTE_KEPT_MS};
    if (!key.ptr || (body && (!note.body.ptr || body->failed)))
        return error_set(err, "E0003", "out of memory");
    return store_set_note(engine->store, &note, STR(""), STR(""), err) == STORE_OK;
}

static bool put_note(struct step *s, struct str key, struct value_builder *body)
{
    return write_note(s->engine, key, body, s->arena, s->err);
}

/* ---- freeze ---- */

static const char *freeze_text(struct arena *arena, const char *what, struct value note)
{
    if (note.kind != VALUE_MAP)
        return NULL;
    return arena_printf(arena, "%s is frozen by %.*s: %.*s", what,
                        STR_FMT(value_path_str(note, "by")),
                        STR_FMT(value_path_str(note, "reason")));
}

static const char *find_freeze(struct step *s, const struct store_note notes[2])
{
    /* A note that is there and cannot be understood freezes too. */
    static const char *const what[] = {"everything", "the account"};
    for (size_t i = 0; i < 2; i++) {
        if (!notes[i].body.len)
            continue;
        const char *text = freeze_text(s->arena, what[i], note_value(s, &notes[i]));
        return text ? text : "frozen; why cannot be read";
    }
    return NULL;
}

static void freeze_keys(struct step *s, struct store_note ret[2])
{
    ret[0] = (struct store_note){.key = STR("freeze/all")};
    ret[1] = (struct store_note){
        .key =
            str_from(arena_printf(s->arena, "freeze/%.*s", STR_FMT(s->subject.resource.account)))};
}

/* On the sending thread, directly before a call leaves. */
bool step_is_thawed(void *ctx, char *reason, size_t size)
{
    struct step *s = ctx;
    struct store_note notes[2];
    struct error err;
    freeze_keys(s, notes);
    if (!notes[1].key.ptr ||
        store_get_notes(s->engine->store, notes, 2, s->arena, &err) != STORE_OK) {
        snprintf(reason, size, "whether it is frozen cannot be read");
        return false;
    }
    const char *frozen = find_freeze(s, notes);
    if (frozen)
        snprintf(reason, size, "%s", frozen);
    return !frozen;
}

/* ---- rest ---- */

static struct str rest_key(struct step *s)
{
    return note_key(s->arena, "rest", s->r.policy, s->r.resource);
}

bool step_rest(struct step *s)
{
    struct value_builder body = {.arena = s->arena};
    const struct value *parent = step_detail(s, DETAIL_PARENT);
    bool other = parent && parent->kind == VALUE_INT;
    value_set(&body, "id", value_int(other ? parent->i : s->r.id));
    return put_note(s, rest_key(s), &body);
}

/* The first state that is seen after it was taken back is the one that is left alone. */
static bool look_rest(struct step *s, const struct store_note *note, const char **ret)
{
    struct value_builder body = {.arena = s->arena};
    struct value old = note_value(s, note);
    struct str print = value_path_str(old, "fingerprint"), now = str_from(s->finding.fingerprint);
    *ret = NULL;
    if (!note->body.len || s->r.kind != REMEDIATION_REPAIR)
        return true;
    if (print.len && !str_eq(print, now))
        return put_note(s, note->key, NULL);
    *ret = arena_printf(s->arena, "r%lld", (long long)note_int(old, "id"));
    if (print.len)
        return true;
    value_set(&body, "id", value_int(note_int(old, "id")));
    value_set(&body, "fingerprint", value_string(now));
    return put_note(s, note->key, &body);
}

/* ---- grace ---- */

/* The clock runs from the first sight where it would be repaired: nobody is told that they have
 * time while a policy only observes. A resource that obeyed for a while goes on with it; one that
 * was not seen breaking the policy for twice the grace, and at least for a day, begins anew. */
static bool look_grace(struct step *s, const struct store_note *note, int64_t *ret_since_ms)
{
    int64_t now = s->subject.now_ms, grace = s->policy->grace_ms;
    struct value old = note_value(s, note);
    int64_t first = note_int(old, "first_ms"), last = note_int(old, "last_ms");
    int64_t forgotten = 2 * grace > DAY_MS ? 2 * grace : DAY_MS;
    struct value_builder body = {.arena = s->arena};
    bool anew = !first || now - last > forgotten || first > now;
    *ret_since_ms = anew ? now : first;
    if (!grace || s->assignment.mode <= MODE_OBSERVE || s->r.kind != REMEDIATION_REPAIR ||
        (!anew && now - last < GRACE_TOUCH_MS))
        return true;
    s->grace_begins = anew;
    value_set(&body, "first_ms", value_int(*ret_since_ms));
    value_set(&body, "last_ms", value_int(now));
    return put_note(s, note->key, &body);
}

/* ---- whose tags ---- */

static bool names_tags(struct str event)
{
    return str_find(event, STR("Tag")) != SIZE_MAX;
}

/* "s3:CreateBucket", "ec2:RunInstances", "rds:RestoreDBInstanceFromDBSnapshot". */
static bool event_makes(struct str event)
{
    static const char *const verbs[] = {"Create", "Run", "Restore", "Copy", "Import", "Register"};
    struct str verb = event;
    str_cut(&verb, ':');
    for (size_t i = 0; !names_tags(event) && i < sizeof verbs / sizeof *verbs; i++)
        if (str_starts(verb, str_from(verbs[i])))
            return true;
    return false;
}

/* Does the newest event tell of setting tags, or of making the resource with them? */
static bool event_sets_tags(struct str event)
{
    return names_tags(event) || event_makes(event);
}

/* One that is seen again is kept on. */
static bool is_old(const struct step *s, struct value note)
{
    return s->subject.now_ms - note_int(note, "at_ms") > NOTE_TOUCH_MS;
}

/* Known is who set what an exemption reads when the newest event is one of theirs, and from then on
 * as long as it reads the same. */
static bool look_exemption(struct step *s, size_t i, const struct store_note *note,
                           struct str *ret_by)
{
    char print[65];
    struct value_builder body = {.arena = s->arena};
    struct value old = note_value(s, note);
    struct str actor = value_path_str(s->r.detail, "event.actor");
    *ret_by = (struct str){0};
    if (!decide_exemption_print(&s->subject, &s->finding, i, s->arena, print))
        return error_set(s->err, "E0003", "out of memory");
    bool same = str_is(value_path_str(old, "print"), print);
    bool news = s->r.kind == REMEDIATION_REPAIR &&
                event_sets_tags(value_path_str(s->r.detail, "event.name"));
    if (news && !decide_is_listed(&s->policy->exemptions[i], actor, s->arena)) {
        *ret_by = actor; // it may have been them: nobody else counts
        return !note->body.len || put_note(s, note->key, NULL);
    }
    if (!news && !same)
        return true;
    *ret_by = news ? actor : value_path_str(old, "by");
    if (same && str_eq(value_path_str(old, "by"), *ret_by) && !is_old(s, old))
        return true;
    value_set(&body, "at_ms", value_int(s->subject.now_ms));
    value_set(&body, "by", value_string(*ret_by));
    value_set(&body, "print", value_cstr(print));
    return put_note(s, note->key, &body);
}

static bool look_exemptions(struct step *s, const struct store_note *notes, size_t count,
                            const size_t *which)
{
    struct str *by = ARENA_ARRAY(s->arena, struct str, s->policy->exemption_count + 1);
    if (!by)
        return error_set(s->err, "E0003", "out of memory");
    for (size_t i = 0; i < count; i++)
        if (!look_exemption(s, which[i], &notes[i], &by[which[i]]))
            return false;
    s->subject.tagged_by = by;
    return true;
}

/* ---- whose name ---- */

static bool rests_on_name(const struct policy *policy)
{
    for (size_t i = 0; i < policy->exemption_count; i++)
        if (policy->exemptions[i].rests_on_name)
            return true;
    return false;
}

static bool put_maker(struct engine *engine, struct str key, struct str by, struct arena *arena,
                      struct error *err)
{
    struct value_builder body = {.arena = arena};
    value_set(&body, "at_ms", value_int(clock_wall_ms(engine->clock)));
    value_set(&body, "by", value_string(by));
    return write_note(engine, key, &body, arena, err);
}

/* Written when the event comes in: by the time that the resource is read a later event may have
 * taken its place in the remediation. */
bool engine_note_maker(struct engine *engine, const struct policy *policy, struct str resource,
                       struct str event, struct str actor, struct arena *arena, struct error *err)
{
    return !event_makes(event) || !rests_on_name(policy) ||
           put_maker(engine, note_key(arena, "made", policy->name, resource), actor, arena, err);
}

static bool look_maker(struct step *s, const struct store_note *note)
{
    struct value old = note_value(s, note);
    s->subject.made_by = value_path_str(old, "by");
    return !note->body.len || !is_old(s, old) ||
           put_maker(s->engine, note->key, s->subject.made_by, s->arena, s->err);
}

/* ---- all of it ---- */

enum { NOTE_FREEZE, NOTE_FREEZE_ACCOUNT, NOTE_REST, NOTE_GRACE, NOTE_EXEMPT };

static struct store_note own_note(struct step *s, const char *kind)
{
    return (struct store_note){.key = note_key(s->arena, kind, s->r.policy, s->r.resource)};
}

bool step_remember(struct step *s, struct decide_guards *ret)
{
    struct store_note notes[NOTE_EXEMPT + EXEMPTIONS_MAX + 1];
    size_t which[EXEMPTIONS_MAX], count = NOTE_EXEMPT, tagged = 0;
    bool named = rests_on_name(s->policy);
    freeze_keys(s, notes);
    notes[NOTE_REST] = own_note(s, "rest");
    notes[NOTE_GRACE] = own_note(s, "grace");
    for (size_t i = 0; i < s->policy->exemption_count && tagged < EXEMPTIONS_MAX; i++) {
        if (!s->policy->exemptions[i].rests_on_tags)
            continue;
        notes[count++] = own_note(s, arena_printf(s->arena, "exempt/%zu", i));
        which[tagged++] = i;
    }
    if (named)
        notes[count++] = own_note(s, "made");
    for (size_t i = 0; i < count; i++)
        if (!notes[i].key.ptr)
            return error_set(s->err, "E0003", "out of memory");
    if (store_get_notes(s->engine->store, notes, count, s->arena, s->err) != STORE_OK)
        return false;
    const struct value *unready = step_detail(s, DETAIL_UNREADY_SINCE);
    struct str actor = value_path_str(s->r.detail, "event.actor");
    ret->freeze = find_freeze(s, notes);
    ret->unready_since_ms = unready && unready->kind == VALUE_INT ? unready->i : 0;
    ret->actor = arena_printf(s->arena, "%.*s", STR_FMT(actor));
    ret->role = arena_printf(s->arena, "%.*s", STR_FMT(s->assignment.act.role));
    return look_rest(s, &notes[NOTE_REST], &ret->resting) &&
           look_grace(s, &notes[NOTE_GRACE], &ret->grace_since_ms) &&
           look_exemptions(s, notes + NOTE_EXEMPT, tagged, which) &&
           (!named || look_maker(s, &notes[count - 1]));
}

/* ---- people ---- */

bool engine_freeze(struct engine *engine, struct str account, bool on, struct str by,
                   struct str reason, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct value_builder body = {.arena = &arena};
    struct buf text = {.arena = &arena};
    struct str what = account.len ? account : STR("all");
    const char *key = arena_printf(&arena, "freeze/%.*s", STR_FMT(what));
    value_set(&body, "what", value_string(what));
    value_set(&body, "by", value_string(by));
    value_set(&body, "reason", value_string(reason));
    value_set(&body, "at_ms", value_int(clock_wall_ms(engine->clock)));
    json_write(&text, value_finish_map(&body), JSON_CANONICAL);
    struct str record = buf_str(&text);
    if (!key || !record.ptr || body.failed)
        return error_set(err, "E0003", "out of memory");
    struct store_note note = {str_from(key), on ? record : (struct str){0}, 0};
    return store_set_note(engine->store, &note, on ? STR("freeze") : STR("unfreeze"), record,
                          err) == STORE_OK;
}

/* A frozen lock goes by the same terminal state once more, by a person. */
static bool thaw_resource(struct engine *engine, const struct remediation *r, struct str record,
                          struct str reason, struct arena *arena, bool *ret_thawed,
                          struct error *err)
{
    struct store_guards g;
    struct remediation holder;
    struct store_guard_query query = {.policy = r->policy, .resource = r->resource};
    *ret_thawed = false;
    if (store_guards(engine->store, &query, arena, &g, err) != STORE_OK)
        return false;
    if (!g.frozen || !g.locked_by)
        return true;
    if (store_get(engine->store, g.locked_by, arena, &holder, err) != STORE_OK)
        return false;
    struct store_transition t = {.id = holder.id,
                                 .version = holder.version,
                                 .to = holder.state,
                                 .reason = reason,
                                 .record = record};
    *ret_thawed = true;
    return store_advance(engine->store, &t, true, err) == STORE_OK;
}

bool engine_clear(struct engine *engine, int64_t id, struct str by, struct str reason,
                  struct engine_cleared *ret, struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct remediation r;
    struct value_builder body = {.arena = &arena};
    struct buf text = {.arena = &arena};
    enum store_result got = store_get(engine->store, id, &arena, &r, err);
    if (got == STORE_ABSENT)
        return error_set(err, "E0005", "there is no remediation r%lld", (long long)id);
    if (got != STORE_OK)
        return false;
    value_set(&body, "cleared_by", value_string(by));
    value_set(&body, "id", value_int(id));
    value_set(&body, "reason", value_string(reason));
    json_write(&text, value_finish_map(&body), JSON_CANONICAL);
    struct step s = {.engine = engine, .arena = &arena, .r = r, .err = err};
    struct store_note note = {.key = rest_key(&s)};
    *ret = (struct engine_cleared){0};
    if (!note.key.ptr || !buf_str(&text).ptr)
        return error_set(err, "E0003", "out of memory");
    if (store_get_notes(engine->store, &note, 1, &arena, err) != STORE_OK)
        return false;
    ret->rested = note.body.len > 0;
    note.body.len = 0;
    if (ret->rested &&
        store_set_note(engine->store, &note, STR("clear"), buf_str(&text), err) != STORE_OK)
        return false;
    return thaw_resource(engine, &r, buf_str(&text), reason, &arena, &ret->was_frozen, err);
}
