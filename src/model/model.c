// SPDX-License-Identifier: Apache-2.0
/* Names and parsing of the nouns. See model.h. */
#include "model/model.h"

#include "base/limits.h"

#include <inttypes.h>
#include <stdio.h>

static bool is_account(struct str s)
{
    if (s.len != 12)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return true;
}

/* Partitions, regions and types: letters, digits, '-' and ':'. */
static bool is_word(struct str s)
{
    if (s.len == 0 || s.len > 128)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == ':'))
            return false;
    }
    return true;
}

static bool is_id(struct str s)
{
    if (s.len == 0 || s.len > LIMIT_RESOURCE_ID_BYTES || !str_is_utf8(s))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7F)
            return false;
    return true;
}

bool resource_key(const struct resource *r, struct arena *arena, struct str *ret, struct error *err)
{
    if (!is_word(r->partition))
        return error_set(err, "M0001", "not a partition: \"%.*s\"", STR_FMT(r->partition));
    if (!is_account(r->account))
        return error_set(err, "M0001", "not an account id of twelve digits: \"%.*s\"",
                         STR_FMT(r->account));
    if (!is_word(r->region))
        return error_set(err, "M0001", "not a region: \"%.*s\"", STR_FMT(r->region));
    if (!is_word(r->type))
        return error_set(err, "M0001", "not a resource type: \"%.*s\"", STR_FMT(r->type));
    if (!is_id(r->id))
        return error_set(err, "M0001",
                         "not a resource id (1 to %u bytes, no control characters): \"%.*s\"",
                         LIMIT_RESOURCE_ID_BYTES, STR_FMT(str_sub(r->id, 0, 100)));
    struct buf key = {.arena = arena};
    const struct str parts[] = {r->partition, r->account, r->region, r->type, r->id};
    for (size_t i = 0; i < 5; i++) {
        if (i)
            buf_add_byte(&key, '/');
        buf_add_str(&key, parts[i]);
    }
    struct str text = buf_str(&key);
    if (!text.ptr)
        return error_set(err, "M0002", "out of memory");
    *ret = text;
    return true;
}

bool resource_parse(struct str key, struct resource *ret)
{
    struct resource r;
    r.partition = str_cut(&key, '/');
    r.account = str_cut(&key, '/');
    r.region = str_cut(&key, '/');
    r.type = str_cut(&key, '/');
    r.id = key;
    if (!is_word(r.partition) || !is_account(r.account) || !is_word(r.region) || !is_word(r.type) ||
        !is_id(r.id))
        return false;
    *ret = r;
    return true;
}

struct str resource_partition(struct str region)
{
    static const struct {
        const char *prefix, *partition;
    } table[] = {{"cn-", "aws-cn"},         {"us-gov-", "aws-us-gov"}, {"us-iso-", "aws-iso"},
                 {"us-isob-", "aws-iso-b"}, {"eu-isoe-", "aws-iso-e"}, {"us-isof-", "aws-iso-f"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (str_starts(region, str_from(table[i].prefix)))
            return str_from(table[i].partition);
    return STR("aws");
}

static const struct {
    const char *name, *meaning;
    unsigned flags;
} states[] = {
#define STATE_ROW(name, text, flags, meaning) [STATE_##name] = {text, meaning, flags},
    STATES(STATE_ROW)
#undef STATE_ROW
};

const char *state_name(enum state state)
{
    return (unsigned)state < STATE_COUNT ? states[state].name : "?";
}

const char *state_meaning(enum state state)
{
    return (unsigned)state < STATE_COUNT ? states[state].meaning : "?";
}

unsigned state_flags(enum state state)
{
    return (unsigned)state < STATE_COUNT ? states[state].flags : 0;
}

bool state_parse(struct str name, enum state *ret)
{
    for (int i = 0; i < STATE_COUNT; i++) {
        if (str_is(name, states[i].name)) {
            *ret = (enum state)i;
            return true;
        }
    }
    return false;
}

static bool parse_name(struct str name, const char *const *names, int count, int *ret)
{
    for (int i = 0; i < count; i++) {
        if (str_is(name, names[i])) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static const char *const mode_names[] = {"off", "observe", "approve", "enforce"};
static const char *const severity_names[] = {"info", "low", "medium", "high", "critical"};
static const char *const class_names[] = {"additive", "restrictive", "overwrite", "delete",
                                          "destructive"};
static const char *const verdict_names[] = {"compliant", "violation", "gone", "unread"};

const char *mode_name(enum mode mode)
{
    return mode_names[mode];
}

bool mode_parse(struct str name, enum mode *ret)
{
    int found;
    if (!parse_name(name, mode_names, 4, &found))
        return false;
    *ret = (enum mode)found;
    return true;
}

const char *severity_name(enum severity severity)
{
    return severity_names[severity];
}

bool severity_parse(struct str name, enum severity *ret)
{
    int found;
    if (!parse_name(name, severity_names, 5, &found))
        return false;
    *ret = (enum severity)found;
    return true;
}

const char *call_class_name(enum call_class class)
{
    return class_names[class];
}

bool call_class_parse(struct str name, enum call_class *ret)
{
    int found;
    if (!parse_name(name, class_names, CLASS_COUNT, &found))
        return false;
    *ret = (enum call_class)found;
    return true;
}

const char *verdict_name(enum verdict verdict)
{
    return verdict_names[verdict];
}

void remediation_id_format(int64_t id, char ret[REMEDIATION_ID_SIZE])
{
    snprintf(ret, REMEDIATION_ID_SIZE, "r%" PRId64, id);
}

bool remediation_id_parse(struct str text, int64_t *ret)
{
    int64_t id;
    if (text.len && (text.ptr[0] == 'r' || text.ptr[0] == 'R'))
        text = str_sub(text, 1, SIZE_MAX);
    if (!str_to_int64(text, &id) || id <= 0)
        return false;
    *ret = id;
    return true;
}
