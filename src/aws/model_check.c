// SPDX-License-Identifier: Apache-2.0
/* An input against its operation's model, completely: every finding is reported, with its path.
 * Patterns are not checked: they are of another regular language and often older than the service.
 */
#include "aws/protocol_internal.h"

#include <inttypes.h>
#include <stdio.h>

#define CHOICES_SHOWN 8

struct check {
    const struct aws_operation *op;
    struct error_list *errors;
    struct arena scratch;
    unsigned depth;
    bool ok;
};

static void check_any(struct check *c, const struct aws_ref *ref, struct value v,
                      const struct aws_path *path);

static bool is_hole(struct value v)
{
    return v.kind == VALUE_OPAQUE && v.aux == AWS_HOLE;
}

static struct str path_text(struct check *c, const struct aws_path *path)
{
    struct buf text = {.arena = &c->scratch};
    aws_path_write(&text, path);
    return buf_str(&text);
}

static void report(struct check *c, struct error *err)
{
    c->ok = false;
    error_list_add(c->errors, err);
}

/* "s3:PutBucketTagging: Tagging.TagSet MESSAGE" */
static void complain(struct check *c, const char *code, const struct aws_path *path,
                     const char *message)
{
    struct error err = {0};
    struct str where = path ? path_text(c, path) : STR("the input");
    error_set(&err, code, "%.*s:%.*s: %.*s %s", STR_FMT(c->op->service->name), STR_FMT(c->op->name),
              STR_FMT(where), message);
    report(c, &err);
}

static struct str nearest_member(const struct aws_shape *shape, struct str typed)
{
    struct str nearest = {0};
    unsigned best = 2 + (unsigned)typed.len / 4;
    for (size_t i = 0; i < shape->member_count; i++) {
        struct str name = shape->members[i].name;
        unsigned distance = str_eq_nocase(typed, name) ? 0 : str_distance(typed, name, best);
        /* "Tagg" means "Tag" or "Tags" and not "TagSet": an extension counts as one change. */
        if (distance > 1 && (str_starts(name, typed) || str_starts(typed, name)) && typed.len > 2)
            distance = 1;
        if (distance < best) {
            best = distance;
            nearest = name;
        }
    }
    return nearest;
}

static void unknown_member(struct check *c, const struct aws_shape *shape, struct str name,
                           const struct aws_path *path)
{
    struct error err = {0};
    struct str where = path_text(c, path), nearest = nearest_member(shape, name);
    char hint[200] = "";
    if (nearest.ptr)
        snprintf(hint, sizeof hint, "; did you mean `%.*s`?", STR_FMT(nearest));
    error_set(&err, "A0201", "%.*s:%.*s has no member `%.*s`%s%.*s%s",
              STR_FMT(c->op->service->name), STR_FMT(c->op->name), STR_FMT(name),
              where.len ? " in " : "", STR_FMT(where), hint);
    if (!nearest.ptr && shape->member_count && shape->member_count <= CHOICES_SHOWN) {
        struct buf list = {.arena = &c->scratch};
        for (size_t i = 0; i < shape->member_count; i++)
            buf_printf(&list, "%s`%.*s`", i ? ", " : "", STR_FMT(shape->members[i].name));
        error_hint(&err, "it has %.*s", STR_FMT(buf_str(&list)));
    }
    report(c, &err);
}

static void missing_member(struct check *c, const struct aws_ref *member,
                           const struct aws_path *path)
{
    struct error err = {0};
    struct str where = path_text(c, path);
    error_set(&err, "A0202", "%.*s:%.*s needs `%.*s`%s%.*s", STR_FMT(c->op->service->name),
              STR_FMT(c->op->name), STR_FMT(member->name), where.len ? " in " : "", STR_FMT(where));
    report(c, &err);
}

/* ---- bounds ---- */

static int64_t bound(struct value v, int64_t fallback)
{
    return v.kind == VALUE_INT ? v.i : fallback;
}

static void check_count(struct check *c, const struct aws_ref *ref, uint64_t count,
                        const char *what, const struct aws_path *path)
{
    char message[128];
    int64_t min = bound(ref->shape->min, 0), max = bound(ref->shape->max, INT64_MAX);
    if (min > 0 && count < (uint64_t)min) {
        snprintf(message, sizeof message, "has %" PRIu64 " %s, at least %" PRId64 " are needed",
                 count, what, min);
        complain(c, "A0205", path, message);
    } else if (max >= 0 && count > (uint64_t)max) {
        snprintf(message, sizeof message, "has %" PRIu64 " %s, at most %" PRId64 " are allowed",
                 count, what, max);
        complain(c, "A0205", path, message);
    }
}

static double number_of(struct value v)
{
    return v.kind == VALUE_INT ? (double)v.i : v.kind == VALUE_UINT ? (double)v.u : v.d;
}

static bool is_number(struct value v)
{
    return v.kind == VALUE_INT || v.kind == VALUE_UINT || v.kind == VALUE_DOUBLE;
}

static void check_range(struct check *c, const struct aws_ref *ref, struct value v,
                        const struct aws_path *path)
{
    struct value min = ref->shape->min, max = ref->shape->max;
    char message[128];
    bool low = is_number(min) && number_of(v) < number_of(min);
    bool high = is_number(max) && number_of(v) > number_of(max);
    if (!low && !high)
        return;
    snprintf(message, sizeof message, "is %.15g, it must be at %s %.15g", number_of(v),
             low ? "least" : "most", number_of(low ? min : max));
    complain(c, "A0206", path, message);
}

static size_t code_points(struct str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        // A text of some length has its bytes. NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
        count += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return count;
}

static void check_choice(struct check *c, const struct aws_ref *ref, struct str text,
                         const struct aws_path *path)
{
    struct value choices = ref->shape->choices;
    struct str nearest = {0};
    unsigned best = 2 + (unsigned)text.len / 4;
    if (choices.kind != VALUE_LIST)
        return;
    for (uint32_t i = 0; i < choices.len; i++) {
        struct str choice = value_str(choices.items[i]);
        unsigned distance = str_eq(choice, text)          ? 0
                            : str_eq_nocase(choice, text) ? 1
                                                          : str_distance(text, choice, best);
        if (str_eq(choice, text))
            return;
        if (distance < best) {
            best = distance;
            nearest = choice;
        }
    }
    struct buf message = {.arena = &c->scratch};
    buf_printf(&message, "is `%.*s`, which is not one of the model's values", STR_FMT(text));
    if (nearest.ptr)
        buf_printf(&message, "; did you mean `%.*s`?", STR_FMT(nearest));
    for (uint32_t i = 0; !nearest.ptr && i < choices.len && i < CHOICES_SHOWN; i++)
        buf_printf(&message, "%s%.*s", i ? ", " : " (", STR_FMT(value_str(choices.items[i])));
    if (!nearest.ptr && choices.len)
        buf_add_cstr(&message, choices.len > CHOICES_SHOWN ? ", ...)" : ")");
    if (!message.failed)
        complain(c, "A0204", path, buf_str(&message).ptr);
}

/* ---- kinds ---- */

static void wrong_kind(struct check *c, struct value v, const char *wanted,
                       const struct aws_path *path)
{
    char message[128];
    snprintf(message, sizeof message, "must be %s, not %s", wanted, value_kind_name(v.kind));
    complain(c, "A0203", path, message);
}

static void check_string(struct check *c, const struct aws_ref *ref, struct value v,
                         const struct aws_path *path)
{
    if (ref->json_value)
        return;
    if (v.kind != VALUE_STRING) {
        wrong_kind(c, v, "a string", path);
        return;
    }
    check_choice(c, ref, value_str(v), path);
    check_count(c, ref, code_points(value_str(v)), "characters", path);
    if (ref->location == AWS_IN_URI && v.len == 0)
        complain(c, "A0205", path, "is empty: it is part of the request's path");
}

static void check_scalar(struct check *c, const struct aws_ref *ref, struct value v,
                         const struct aws_path *path)
{
    struct str text = value_str(v);
    struct value moment;
    switch (ref->shape->kind) {
    case AWS_STRING:
        check_string(c, ref, v, path);
        break;
    case AWS_INTEGER:
    case AWS_LONG:
        if (v.kind != VALUE_INT && v.kind != VALUE_UINT)
            wrong_kind(c, v, "an integer", path);
        else
            check_range(c, ref, v, path);
        break;
    case AWS_FLOAT:
    case AWS_DOUBLE:
        if (is_number(v))
            check_range(c, ref, v, path);
        else if (!str_is(text, "NaN") && !str_is(text, "Infinity") && !str_is(text, "-Infinity"))
            wrong_kind(c, v, "a number", path);
        break;
    case AWS_BOOLEAN:
        if (v.kind != VALUE_BOOL)
            wrong_kind(c, v, "true or false", path);
        break;
    case AWS_BLOB:
        if (v.kind != VALUE_STRING && v.kind != VALUE_BYTES)
            wrong_kind(c, v, "bytes or text", path);
        else
            check_count(c, ref, v.len, "bytes", path);
        break;
    case AWS_TIMESTAMP:
        if (!time_from_value(v, &moment))
            wrong_kind(c, v, "a point in time (RFC 3339, or epoch seconds)", path);
        break;
    default:
        break;
    }
}

static void check_structure(struct check *c, const struct aws_shape *shape, struct value v,
                            const struct aws_path *path)
{
    size_t given = 0;
    if (v.kind != VALUE_MAP && v.kind != VALUE_NULL) {
        wrong_kind(c, v, "a map", path);
        return;
    }
    for (uint32_t i = 0; i < v.len; i++) {
        struct str name = value_str(v.pairs[i].key);
        const struct aws_ref *member = aws_shape_find(shape, name);
        if (!member) {
            unknown_member(c, shape, name, path);
            continue;
        }
        if (v.pairs[i].value.kind == VALUE_NULL)
            continue;
        given++;
        struct aws_path at = {.up = path, .name = member->name};
        check_any(c, member, v.pairs[i].value, &at);
    }
    for (size_t i = 0; i < shape->member_count; i++) {
        const struct value *found = value_get(v, shape->members[i].name);
        if (shape->members[i].required && !shape->members[i].token &&
            (!found || found->kind == VALUE_NULL))
            missing_member(c, &shape->members[i], path);
    }
    if (shape->is_union && given != 1)
        complain(c, "A0207", path, "must have exactly one of its members");
}

static void check_list(struct check *c, const struct aws_ref *ref, struct value v,
                       const struct aws_path *path)
{
    if (v.kind != VALUE_LIST) {
        wrong_kind(c, v, "a list", path);
        return;
    }
    check_count(c, ref, v.len, "items", path);
    for (uint32_t i = 0; i < v.len; i++) {
        struct aws_path at = {.up = path, .index = i};
        if (v.items[i].kind != VALUE_NULL)
            check_any(c, ref->shape->item, v.items[i], &at);
    }
}

static void check_map(struct check *c, const struct aws_ref *ref, struct value v,
                      const struct aws_path *path)
{
    if (v.kind != VALUE_MAP) {
        wrong_kind(c, v, "a map", path);
        return;
    }
    check_count(c, ref, v.len, "entries", path);
    for (uint32_t i = 0; i < v.len; i++) {
        struct str key = value_str(v.pairs[i].key);
        struct aws_path at = {.up = path, .name = key.ptr ? key : STR("?")};
        check_any(c, ref->shape->key, v.pairs[i].key, &at);
        if (v.pairs[i].value.kind != VALUE_NULL)
            check_any(c, ref->shape->item, v.pairs[i].value, &at);
    }
}

static void check_any(struct check *c, const struct aws_ref *ref, struct value v,
                      const struct aws_path *path)
{
    if (is_hole(v) || ref->shape->document)
        return;
    if (ref->shape->kind > AWS_MAP) {
        check_scalar(c, ref, v, path);
        return;
    }
    if (c->depth >= LIMIT_JSON_DEPTH) {
        complain(c, "A0208", path, "nests too deep");
        return;
    }
    c->depth++;
    if (ref->shape->kind == AWS_STRUCTURE)
        check_structure(c, ref->shape, v, path);
    else if (ref->shape->kind == AWS_LIST)
        check_list(c, ref, v, path);
    else
        check_map(c, ref, v, path);
    c->depth--;
}

bool aws_input_check(const struct aws_operation *op, struct value input, struct error_list *errors)
{
    struct check c = {.op = op, .errors = errors, .ok = true};
    if (is_hole(input))
        return true;
    if (op->input)
        check_any(&c, op->input, input, NULL);
    else if (input.kind == VALUE_MAP ? input.len != 0 : input.kind != VALUE_NULL)
        complain(&c, "A0201", NULL, "must be empty: the operation takes none");
    arena_finish(&c.scratch);
    return c.ok;
}
