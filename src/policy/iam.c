// SPDX-License-Identifier: Apache-2.0
/* Looks up what iam.txt knows (its form: tools/make_iam_table.py). See iam.h. */
#include "policy/iam.h"

#include "policy/iam_internal.h"

#include <zlib.h>

#define ACTIONS_MAX (POLICY_IAM_LEVELS_SIZE - 1)
#define RESOURCES_MAX 16

/* A section, unpacked, behind a line break; empty when there is none of that title. False: memory.
 */
static bool section_of(struct str title, struct arena *arena, struct str *ret)
{
    size_t low = 0, high = policy_iam_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (str_compare(str_from(policy_iam[middle].title), title) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret = (struct str){0};
    if (low == policy_iam_count || !str_is(title, policy_iam[low].title))
        return true;
    const struct policy_iam_section *s = &policy_iam[low];
    char *text = arena_alloc_raw(arena, s->size + 1, 1);
    uLongf got = s->size;
    if (!text || uncompress((Bytef *)text + 1, &got, s->bytes, s->packed) != Z_OK)
        return false;
    text[0] = '\n';
    *ret = (struct str){text, s->size + 1};
    return true;
}

/* The rest of the line that begins with `mark`, `name` and a space, or empty. False: memory. */
static bool line_of(struct str text, char mark, struct str name, struct arena *arena,
                    struct str *ret)
{
    const char *start = arena_printf(arena, "\n%c%.*s ", mark, STR_FMT(name));
    size_t at = start ? str_find(text, str_from(start)) : SIZE_MAX;
    *ret = (struct str){0};
    if (at != SIZE_MAX) {
        struct str rest = str_sub(text, at + strlen(start), SIZE_MAX);
        *ret = str_cut(&rest, '\n');
    }
    return start != NULL;
}

/* The spelling, the resource types and the level of an action in a section, or an empty name. IAM
 * does not tell upper from lower case. */
struct action {
    struct str name, types;
    char level;
};

static struct action find_action(struct str section, struct str name)
{
    while (section.len) {
        struct str line = str_cut(&section, '\n');
        if (line.len == 0 || line.ptr[0] == '=')
            continue;
        struct str types = str_cut(&line, ':'), level = str_cut(&line, ':');
        while (line.len) {
            struct str spelt = str_cut(&line, ' ');
            if (str_eq_nocase(spelt, name))
                return (struct action){spelt, types, level.len ? level.ptr[0] : '?'};
        }
    }
    return (struct action){0};
}

/* All actions of an operation; none when one of them is not known. */
struct actions {
    struct str prefix;
    struct action items[ACTIONS_MAX];
    size_t count;
};

/* False: memory. */
static bool find_actions(struct str operation, struct arena *arena, struct actions *ret)
{
    struct str name = operation, service = str_cut(&name, ':'), head, other, section, needed;
    *ret = (struct actions){0};
    if (!section_of((struct str){"", 0}, arena, &head) ||
        !line_of(head, '>', service, arena, &other) ||
        !line_of(head, '+', operation, arena, &needed))
        return false;
    ret->prefix = other.len ? other : service;
    if (!section_of(ret->prefix, arena, &section))
        return false;
    needed = needed.len ? needed : name;
    while (needed.len && ret->count < ACTIONS_MAX) {
        struct action found = find_action(section, str_cut(&needed, ' '));
        if (found.name.len == 0) {
            ret->count = 0;
            break;
        }
        ret->items[ret->count++] = found;
    }
    return true;
}

bool policy_iam_actions(struct str operation, struct arena *arena, struct str **ret,
                        size_t *ret_count, struct error *err)
{
    struct arena scratch ARENA_AUTO = {0};
    struct actions found;
    struct str *actions = ARENA_ARRAY(arena, struct str, ACTIONS_MAX);
    if (!actions || !find_actions(operation, &scratch, &found))
        return error_set(err, "J0001", "out of memory");
    if (found.count == 0) {
        error_set(err, "J0002", "nothing is known of the IAM action that `%.*s` needs",
                  STR_FMT(operation));
        return error_hint(err, "grant it by hand and leave the policy out of --policies");
    }
    for (size_t i = 0; i < found.count; i++) {
        const char *text =
            arena_printf(arena, "%.*s:%.*s", STR_FMT(found.prefix), STR_FMT(found.items[i].name));
        if (!text)
            return error_set(err, "J0001", "out of memory");
        actions[i] = str_from(text);
    }
    *ret = actions;
    *ret_count = found.count;
    return true;
}

bool policy_iam_resources(struct str action, struct arena *arena, struct str **ret,
                          size_t *ret_count)
{
    struct arena scratch ARENA_AUTO = {0};
    struct str name = action, prefix = str_cut(&name, ':'), section;
    struct str *arns = ARENA_ARRAY(arena, struct str, RESOURCES_MAX);
    if (!arns || !section_of(prefix, &scratch, &section))
        return false;
    struct str types = find_action(section, name).types;
    size_t count = 0;
    if (str_is(types, "-"))
        types.len = 0;
    while (types.len && count < RESOURCES_MAX) {
        struct str arn;
        if (!line_of(section, '=', str_cut(&types, ','), &scratch, &arn))
            return false;
        if (arn.len == 0) { // a type without a format: any resource
            count = 0;
            break;
        }
        arns[count] = str_copy(arena, arn);
        if (!arns[count++].ptr)
            return false;
    }
    *ret = arns;
    *ret_count = count;
    return true;
}

bool policy_iam_levels(struct str operation, char ret[POLICY_IAM_LEVELS_SIZE])
{
    struct arena scratch ARENA_AUTO = {0};
    struct actions found;
    if (!find_actions(operation, &scratch, &found))
        return false;
    for (size_t i = 0; i < found.count; i++)
        ret[i] = found.items[i].level;
    ret[found.count] = '\0';
    return true;
}
