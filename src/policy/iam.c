// SPDX-License-Identifier: Apache-2.0
/* Looks up what iam.txt knows (its form: tools/make_iam_table.py). See iam.h. */
#include "policy/iam.h"

#include "policy/iam_internal.h"

#include <zlib.h>

#define ACTIONS_MAX 4
#define RESOURCES_MAX 16

/* A section, unpacked, behind a line break; empty when there is none of that title. */
static struct str section_of(struct str title, struct arena *arena)
{
    size_t low = 0, high = policy_iam_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (str_compare(str_from(policy_iam[middle].title), title) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == policy_iam_count || !str_is(title, policy_iam[low].title))
        return (struct str){0};
    const struct policy_iam_section *s = &policy_iam[low];
    char *text = arena_alloc_raw(arena, s->size + 1, 1);
    uLongf got = s->size;
    if (!text || uncompress((Bytef *)text + 1, &got, s->bytes, s->packed) != Z_OK)
        return (struct str){0};
    text[0] = '\n';
    return (struct str){text, s->size + 1};
}

/* The rest of the line that begins with `start`, or empty. */
static struct str line_of(struct str text, const char *start)
{
    struct str head = str_from(start);
    size_t at = start ? str_find(text, head) : SIZE_MAX;
    if (at == SIZE_MAX)
        return (struct str){0};
    struct str rest = str_sub(text, at + head.len, SIZE_MAX);
    return str_cut(&rest, '\n');
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

/* All actions of an operation; 0 when one of them is not known. */
static size_t find_actions(struct str operation, struct arena *arena, struct str *ret_prefix,
                           struct action ret[ACTIONS_MAX])
{
    struct str name = operation, service = str_cut(&name, ':');
    struct str head = section_of((struct str){"", 0}, arena);
    struct str other = line_of(head, arena_printf(arena, "\n>%.*s ", STR_FMT(service)));
    struct str prefix = other.len ? other : service, section = section_of(prefix, arena);
    struct str needed = line_of(head, arena_printf(arena, "\n+%.*s ", STR_FMT(operation)));
    size_t count = 0;
    needed = needed.len ? needed : name;
    while (needed.len && count < ACTIONS_MAX) {
        ret[count] = find_action(section, str_cut(&needed, ' '));
        if (ret[count++].name.len == 0)
            return 0;
    }
    *ret_prefix = prefix;
    return count;
}

bool policy_iam_actions(struct str operation, struct arena *arena, struct str **ret,
                        size_t *ret_count, struct error *err)
{
    struct arena scratch ARENA_AUTO = {0};
    struct action found[ACTIONS_MAX];
    struct str prefix;
    struct str *actions = ARENA_ARRAY(arena, struct str, ACTIONS_MAX);
    size_t count = find_actions(operation, &scratch, &prefix, found);
    if (!actions)
        return error_set(err, "J0001", "out of memory");
    if (count == 0) {
        error_set(err, "J0002", "nothing is known of the IAM action that `%.*s` needs",
                  STR_FMT(operation));
        return error_hint(err, "grant it by hand and leave the policy out of --policies");
    }
    for (size_t i = 0; i < count; i++)
        actions[i] =
            str_from(arena_printf(arena, "%.*s:%.*s", STR_FMT(prefix), STR_FMT(found[i].name)));
    *ret = actions;
    *ret_count = count;
    return true;
}

bool policy_iam_resources(struct str action, struct arena *arena, struct str **ret,
                          size_t *ret_count)
{
    struct arena scratch ARENA_AUTO = {0};
    struct str name = action, prefix = str_cut(&name, ':');
    struct str section = section_of(prefix, &scratch), types = find_action(section, name).types;
    struct str *arns = ARENA_ARRAY(arena, struct str, RESOURCES_MAX);
    size_t count = 0;
    if (str_is(types, "-"))
        types.len = 0;
    while (arns && types.len && count < RESOURCES_MAX) {
        struct str type = str_cut(&types, ',');
        struct str arn = line_of(section, arena_printf(&scratch, "\n=%.*s ", STR_FMT(type)));
        if (arn.len == 0) { // a type without a format: any resource
            count = 0;
            break;
        }
        arns[count++] = str_copy(arena, arn);
    }
    *ret = arns;
    *ret_count = count;
    return arns != NULL;
}

struct str policy_iam_levels(struct str operation, struct arena *arena)
{
    struct arena scratch ARENA_AUTO = {0};
    struct action found[ACTIONS_MAX];
    struct str prefix;
    char levels[ACTIONS_MAX];
    size_t count = find_actions(operation, &scratch, &prefix, found);
    for (size_t i = 0; i < count; i++)
        levels[i] = found[i].level;
    return str_copy(arena, (struct str){levels, count});
}
