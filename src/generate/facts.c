// SPDX-License-Identifier: Apache-2.0
/* Looks up what iam.txt knows (its form: tools/make_iam_table.py). */
#include "generate/generate_internal.h"

#include <zlib.h>

bool generate_unpack(const unsigned char *packed, size_t packed_size, size_t size,
                     struct arena *arena, struct str *ret, struct error *err)
{
    char *text = arena_alloc_raw(arena, size + 1, 1);
    uLongf got = size;
    if (!text || uncompress((Bytef *)text, &got, packed, packed_size) != Z_OK)
        return error_set(err, "J0001", "out of memory");
    text[got] = '\0';
    *ret = (struct str){text, got};
    return true;
}

/* The rest of the line that begins with `start`, or empty. */
static struct str line_of(struct str facts, const char *start)
{
    struct str head = str_from(start);
    size_t at = str_find(facts, head);
    if (at == SIZE_MAX)
        return (struct str){0};
    struct str rest = str_sub(facts, at + head.len, SIZE_MAX);
    return str_cut(&rest, '\n');
}

static struct str prefix_of(struct str facts, struct str service, struct arena *arena)
{
    const char *start = arena_printf(arena, "\n>%.*s ", STR_FMT(service));
    struct str other = start ? line_of(facts, start) : (struct str){0};
    return other.len ? other : service;
}

/* The section of a prefix: from behind its head to the next one's. */
static struct str section_of(struct str facts, struct str prefix, struct arena *arena)
{
    const char *head = arena_printf(arena, "\n[%.*s]\n", STR_FMT(prefix));
    size_t at = head ? str_find(facts, str_from(head)) : SIZE_MAX;
    if (at == SIZE_MAX)
        return (struct str){0};
    struct str rest = str_sub(facts, at + strlen(head), SIZE_MAX);
    size_t end = str_find(rest, STR("\n["));
    return str_sub(rest, 0, end);
}

/* The spelling and (where wanted) the resource types of an action in a section, or empty. IAM does
 * not tell upper from lower case. */
static struct str find_action(struct str section, struct str action, struct str *ret_types)
{
    while (section.len) {
        struct str line = str_cut(&section, '\n');
        if (line.ptr[0] == '=')
            continue;
        struct str types = str_cut(&line, ':');
        while (line.len) {
            struct str name = str_cut(&line, ' ');
            if (!str_eq_nocase(name, action))
                continue;
            *ret_types = types;
            return name;
        }
    }
    return (struct str){0};
}

bool facts_actions(struct str facts, struct str operation, struct arena *arena, struct str **ret,
                   size_t *ret_count, struct error *err)
{
    struct str name = operation, service = str_cut(&name, ':'), types;
    struct str prefix = prefix_of(facts, service, arena);
    struct str section = section_of(facts, prefix, arena);
    const char *start = arena_printf(arena, "\n+%.*s ", STR_FMT(operation));
    struct str needed = start ? line_of(facts, start) : (struct str){0};
    struct str *actions = ARENA_ARRAY(arena, struct str, 4);
    size_t count = 0;
    if (!start || !actions)
        return error_set(err, "J0001", "out of memory");
    needed = needed.len ? needed : name;
    while (needed.len && count < 4) {
        struct str found = find_action(section, str_cut(&needed, ' '), &types);
        if (found.len == 0) {
            error_set(err, "J0002", "nothing is known of the IAM action that `%.*s` needs",
                      STR_FMT(operation));
            return error_hint(err, "grant it by hand and leave the policy out of --policies");
        }
        actions[count++] =
            str_from(arena_printf(arena, "%.*s:%.*s", STR_FMT(prefix), STR_FMT(found)));
    }
    *ret = actions;
    *ret_count = count;
    return true;
}

bool facts_resources(struct str facts, struct str action, struct arena *arena, struct str **ret,
                     size_t *ret_count)
{
    struct str name = action, prefix = str_cut(&name, ':'), types = {0};
    struct str section = section_of(facts, prefix, arena);
    struct str *arns = ARENA_ARRAY(arena, struct str, 16);
    size_t count = 0;
    find_action(section, name, &types);
    if (str_is(types, "-"))
        types.len = 0;
    while (arns && types.len && count < 16) {
        struct str type = str_cut(&types, ',');
        const char *start = arena_printf(arena, "\n=%.*s ", STR_FMT(type));
        struct str whole = {section.ptr - 1, section.len + 1}; // with the line break before it
        struct str arn = start ? line_of(whole, start) : (struct str){0};
        if (arn.len == 0) { // a type without a format: any resource
            count = 0;
            break;
        }
        arns[count++] = arn;
    }
    *ret = arns;
    *ret_count = count;
    return arns != NULL;
}
