// SPDX-License-Identifier: Apache-2.0
/* What is kept of a resource's state, before and after: the parts that the policy's undo looks at,
 * and no more. Where there is a key it is kept sealed, as one text instead of the map; the seal
 * holds it to its remediation and to its name. */
#include "engine/step_internal.h"

#include "value/json.h"

/* The part of `v` that these paths lead to, all of which have led here. */
static struct value part(struct value v, const struct cel_path *const *paths, size_t count,
                         size_t depth, struct arena *arena)
{
    struct value_builder out = {.arena = arena};
    for (size_t i = 0; i < count; i++)
        if (paths[i]->count == depth || v.kind != VALUE_MAP)
            return v;
    const struct cel_path **below = ARENA_ARRAY(arena, const struct cel_path *, count + 1);
    for (uint32_t k = 0; below && k < v.len; k++) {
        struct str key = value_str(v.pairs[k].key);
        size_t matching = 0;
        for (size_t i = 0; i < count; i++)
            if (str_eq(paths[i]->fields[depth], key))
                below[matching++] = paths[i];
        if (matching)
            value_set_str(&out, key, part(v.pairs[k].value, below, matching, depth + 1, arena));
    }
    return value_finish_map(&out);
}

static struct value kept_part(const struct step *s, unsigned slot)
{
    const struct policy *p = s->policy;
    const struct cel_path **paths =
        ARENA_ARRAY(s->arena, const struct cel_path *, p->kept_count + 1);
    size_t count = 0;
    for (size_t i = 0; paths && i < p->kept_count; i++)
        if (p->kept[i].slot == slot)
            paths[count++] = &p->kept[i];
    return part(s->finding.reads, paths, count, 0, s->arena);
}

static struct str context(const struct step *s, int64_t id, const char *key)
{
    return str_from(arena_printf(s->arena, "r%lld %s", (long long)id, key));
}

bool step_keep(struct step *s, const char *key, unsigned slot)
{
    struct value kept = kept_part(s, slot);
    struct buf text = {.arena = s->arena};
    struct str sealed;
    if (kept.kind != VALUE_MAP)
        return error_set(s->err, "E0003", "out of memory");
    if (s->engine->seal && kept.len) {
        json_write(&text, kept, JSON_COMPACT);
        if (!buf_str(&text).ptr)
            return error_set(s->err, "E0003", "out of memory");
        if (!seal_close(s->engine->seal, s->engine->clock, context(s, s->r.id, key), buf_str(&text),
                        s->arena, &sealed, s->err))
            return false;
        kept = value_string(sealed);
    }
    step_set_detail(s, key, kept);
    return true;
}

bool step_kept(struct step *s, const struct remediation *of, const char *key, struct value *ret,
               struct error *err)
{
    const struct value *kept = value_get(of->detail, str_from(key));
    struct str text;
    if (!kept || kept->kind != VALUE_STRING) {
        *ret = kept ? *kept : value_null();
        return true;
    }
    return seal_open(s->engine->seal, context(s, of->id, key), value_str(*kept), s->arena, &text,
                     err) &&
           json_parse(s->arena, text, ret, err);
}
