// SPDX-License-Identifier: Apache-2.0
/* What calls would change, for people: their inputs held against what was read. A member of an
 * input is compared with the first of the same name in the reads; what has none there is new. See
 * decide.h. */
#include "decide/decide_internal.h"

#include "value/json.h"

#define CHANGES_MAX 60u
#define CHANGE_BYTES_MAX 400u

struct changes {
    struct arena *arena;
    struct str resource_id;
    struct value_builder list;
};

static void say(struct changes *c, char sign, struct str path, struct value v)
{
    struct buf out = {.arena = c->arena};
    struct buf json = {.arena = c->arena};
    if (c->list.count == CHANGES_MAX)
        value_push(&c->list, value_cstr("... and more"));
    if (c->list.count >= CHANGES_MAX)
        return;
    json_write(&json, v, JSON_COMPACT);
    struct str text = str_sub(buf_str(&json), 0, CHANGE_BYTES_MAX);
    text.len = str_utf8_prefix(text);
    buf_printf(&out, "%c %.*s: %.*s%s", sign, STR_FMT(path), STR_FMT(text),
               json.len > CHANGE_BYTES_MAX ? "..." : "");
    value_push(&c->list, value_string(buf_str(&out)));
}

static bool holds(struct value list, struct value item)
{
    for (uint32_t i = 0; i < list.len; i++)
        if (value_equal(list.items[i], item))
            return true;
    return false;
}

static void compare(struct changes *c, struct str path, struct value old, struct value new)
{
    if (value_equal(old, new))
        return;
    if (old.kind == VALUE_LIST && new.kind == VALUE_LIST) {
        for (uint32_t i = 0; i < old.len; i++)
            if (!holds(new, old.items[i]))
                say(c, '-', path, old.items[i]);
        for (uint32_t i = 0; i < new.len; i++)
            if (!holds(old, new.items[i]))
                say(c, '+', path, new.items[i]);
        return;
    }
    if (old.kind != VALUE_MAP || new.kind != VALUE_MAP) {
        say(c, '-', path, old);
        say(c, '+', path, new);
        return;
    }
    for (uint32_t i = 0; i < old.len; i++)
        if (!value_get_key(new, old.pairs[i].key))
            say(c, '-', STR_JOIN(c->arena, path, STR("."), value_str(old.pairs[i].key)),
                old.pairs[i].value);
    for (uint32_t i = 0; i < new.len; i++) {
        const struct value *was = value_get_key(old, new.pairs[i].key);
        struct str inner = STR_JOIN(c->arena, path, STR("."), value_str(new.pairs[i].key));
        if (was)
            compare(c, inner, *was, new.pairs[i].value);
        else
            say(c, '+', inner, new.pairs[i].value);
    }
}

/* The first member of that name, outer ones first. */
static const struct value *find(struct value in, struct str name)
{
    const struct value *found = in.kind == VALUE_MAP ? value_get(in, name) : NULL;
    for (uint32_t i = 0; !found && i < in.len && in.kind == VALUE_MAP; i++)
        found = find(in.pairs[i].value, name);
    return found;
}

static void walk(struct changes *c, struct value reads, struct value input)
{
    for (uint32_t i = 0; input.kind == VALUE_MAP && i < input.len; i++) {
        struct str name = value_str(input.pairs[i].key);
        struct value v = input.pairs[i].value;
        const struct value *old = find(reads, name);
        bool names_it = str_eq(value_str(v), c->resource_id);
        if (names_it || str_is(name, "ExpectedBucketOwner") || str_ends(name, STR("Token")))
            continue;
        if (old)
            compare(c, name, *old, v);
        else if (v.kind == VALUE_MAP)
            walk(c, reads, v);
        else
            say(c, '+', name, v);
    }
}

struct value decide_changes(struct value reads, struct value plan, struct str resource_id,
                            struct arena *arena)
{
    struct changes c = {arena, resource_id, {.arena = arena}};
    for (uint32_t i = 0; plan.kind == VALUE_LIST && i < plan.len; i++) {
        const struct value *with = value_get(plan.items[i], STR("with"));
        if (with)
            walk(&c, reads, *with);
    }
    return value_finish_list(&c.list);
}
