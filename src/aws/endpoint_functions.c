// SPDX-License-Identifier: Apache-2.0
/* The functions of the endpoint rule language, one table. Null is "unset". */
#include <arpa/inet.h>
#include <regex.h>

#include "aws/aws_internal.h"
#include "aws/endpoint.h"

struct call {
    const struct value *argv;
    struct value partitions;
    struct arena *arena;
};

static bool is_ascii(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] >= 0x80)
            return false;
    }
    return true;
}

static struct value fn_is_set(const struct call *c)
{
    return value_bool(c->argv[0].kind != VALUE_NULL);
}

static struct value fn_not(const struct call *c)
{
    struct value v = c->argv[0];
    return value_bool(v.kind == VALUE_NULL || (v.kind == VALUE_BOOL && !v.b));
}

static struct value fn_equals(const struct call *c)
{
    return value_bool(c->argv[0].kind == c->argv[1].kind && c->argv[0].kind != VALUE_NULL &&
                      value_equal(c->argv[0], c->argv[1]));
}

static struct value fn_get_attr(const struct call *c)
{
    return aws_endpoint_attribute(c->argv[0], value_str(c->argv[1]));
}

static struct value fn_substring(const struct call *c)
{
    struct str s = value_str(c->argv[0]);
    if (c->argv[0].kind != VALUE_STRING || c->argv[1].kind != VALUE_INT ||
        c->argv[2].kind != VALUE_INT || c->argv[3].kind != VALUE_BOOL)
        return value_null();
    int64_t start = c->argv[1].i, stop = c->argv[2].i;
    if (start < 0 || start >= stop || stop > (int64_t)s.len || !is_ascii(s))
        return value_null();
    size_t from = c->argv[3].b ? s.len - (size_t)stop : (size_t)start;
    return value_string(str_sub(s, from, (size_t)(stop - start)));
}

static struct value fn_uri_encode(const struct call *c)
{
    if (c->argv[0].kind != VALUE_STRING)
        return value_null();
    struct buf out = {.arena = c->arena};
    aws_percent_encode(&out, value_str(c->argv[0]), "");
    struct str done = buf_str(&out);
    return done.ptr ? value_string(done) : value_string(STR(""));
}

/* RFC 1123: letters, digits, '-' inside; at most 63. */
static bool is_host_label(struct str s)
{
    if (s.len == 0 || s.len > 63 || s.ptr[0] == '-' || s.ptr[s.len - 1] == '-')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i], lower = (char)(c | 0x20);
        if (!((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return true;
}

static bool are_host_labels(struct str s, bool several)
{
    if (!several)
        return is_host_label(s);
    for (;;) {
        size_t dot = str_find_byte(s, '.');
        if (!is_host_label(str_sub(s, 0, dot)))
            return false;
        if (dot == SIZE_MAX)
            return true;
        s = str_sub(s, dot + 1, SIZE_MAX);
    }
}

static bool flag(struct value v)
{
    return v.kind == VALUE_BOOL && v.b;
}

static struct value fn_is_valid_host_label(const struct call *c)
{
    return value_bool(c->argv[0].kind == VALUE_STRING &&
                      are_host_labels(value_str(c->argv[0]), flag(c->argv[1])));
}

static bool is_ipv4(struct str s)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr address;
    if (s.len == 0 || s.len >= sizeof(text))
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    return inet_pton(AF_INET, text, &address) == 1;
}

/* Four runs of digits, whatever their size: such a name could be taken for an address. */
static bool looks_like_ipv4(struct str s)
{
    unsigned dots = 0;
    for (size_t i = 0; i < s.len; i++) {
        bool edge = i == 0 || i + 1 == s.len || s.ptr[i - 1] == '.';
        if (s.ptr[i] == '.' && edge)
            return false;
        if (s.ptr[i] != '.' && (s.ptr[i] < '0' || s.ptr[i] > '9'))
            return false;
        dots += s.ptr[i] == '.';
    }
    return dots == 3;
}

static struct value fn_is_virtual_hostable(const struct call *c)
{
    struct str s = value_str(c->argv[0]);
    if (c->argv[0].kind != VALUE_STRING || s.len < 3 || looks_like_ipv4(s))
        return value_bool(false);
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z')
            return value_bool(false);
    }
    return value_bool(are_host_labels(s, flag(c->argv[1])));
}

static bool is_ip_authority(struct str authority)
{
    size_t at = str_find_byte(authority, '@');
    struct str host = at == SIZE_MAX ? authority : str_sub(authority, at + 1, SIZE_MAX);
    if (host.len && host.ptr[0] == '[') {
        char text[INET6_ADDRSTRLEN];
        struct in6_addr address;
        size_t end = str_find_byte(host, ']');
        if (end == SIZE_MAX || end < 2 || end - 1 >= sizeof(text))
            return false;
        memcpy(text, host.ptr + 1, end - 1);
        text[end - 1] = '\0';
        return inet_pton(AF_INET6, text, &address) == 1;
    }
    return is_ipv4(str_cut(&host, ':'));
}

static bool valid_port(struct str authority)
{
    size_t bracket = str_find_byte(authority, ']');
    struct str rest = bracket == SIZE_MAX ? authority : str_sub(authority, bracket, SIZE_MAX);
    size_t colon = str_find_byte(rest, ':');
    if (colon == SIZE_MAX || colon + 1 == rest.len)
        return true;
    int64_t port;
    return str_to_int64(str_sub(rest, colon + 1, SIZE_MAX), &port) && port >= 0 && port <= 65535;
}

static struct value normalized_path(struct arena *arena, struct str path)
{
    struct buf out = {.arena = arena};
    while (path.len) {
        struct str segment = str_cut(&path, '/');
        if (!segment.len || str_is(segment, "."))
            continue;
        if (str_is(segment, "..")) {
            while (out.len && out.ptr[--out.len] != '/')
                ;
            continue;
        }
        buf_add_byte(&out, '/');
        aws_percent_encode(&out, segment, "%~");
    }
    buf_add_byte(&out, '/');
    struct str done = buf_str(&out);
    return value_string(done.ptr ? done : STR("/"));
}

static struct value fn_parse_url(const struct call *c)
{
    struct str rest = value_str(c->argv[0]);
    size_t colon = str_find(rest, STR("://"));
    if (c->argv[0].kind != VALUE_STRING || colon == SIZE_MAX)
        return value_null();
    struct str scheme = str_sub(rest, 0, colon);
    rest = str_sub(rest, colon + 3, SIZE_MAX);
    bool http = str_eq_nocase(scheme, STR("http")) || str_eq_nocase(scheme, STR("https"));
    if (!http || str_find_byte(rest, '?') != SIZE_MAX)
        return value_null();
    rest = str_sub(rest, 0, str_find_byte(rest, '#'));
    size_t slash = str_find_byte(rest, '/');
    struct str authority = str_sub(rest, 0, slash);
    struct str path = slash == SIZE_MAX ? STR("") : str_sub(rest, slash, SIZE_MAX);
    if (!valid_port(authority))
        return value_null();
    struct value_builder map = {.arena = c->arena};
    value_set(&map, "scheme",
              value_string(str_eq_nocase(scheme, STR("http")) ? STR("http") : STR("https")));
    value_set(&map, "authority", value_string(authority));
    value_set(&map, "path", value_string(path));
    value_set(&map, "normalizedPath", normalized_path(c->arena, path));
    value_set(&map, "isIp", value_bool(is_ip_authority(authority)));
    return value_finish_map(&map);
}

static struct value fn_parse_arn(const struct call *c)
{
    struct str rest = value_str(c->argv[0]), part[5];
    if (c->argv[0].kind != VALUE_STRING)
        return value_null();
    for (int i = 0; i < 5; i++) {
        if (str_find_byte(rest, ':') == SIZE_MAX)
            return value_null();
        part[i] = str_cut(&rest, ':');
    }
    if (!str_is(part[0], "arn") || !part[1].len || !part[2].len || !rest.len)
        return value_null();
    struct value_builder map = {.arena = c->arena}, ids = {.arena = c->arena};
    for (size_t start = 0, i = 0; i <= rest.len; i++) {
        if (i < rest.len && rest.ptr[i] != ':' && rest.ptr[i] != '/')
            continue;
        value_push(&ids, value_string(str_sub(rest, start, i - start)));
        start = i + 1;
    }
    value_set(&map, "partition", value_string(part[1]));
    value_set(&map, "service", value_string(part[2]));
    value_set(&map, "region", value_string(part[3]));
    value_set(&map, "accountId", value_string(part[4]));
    value_set(&map, "resourceId", value_finish_list(&ids));
    return value_finish_map(&map);
}

static struct value fn_partition(const struct call *c)
{
    return aws_partition_of(c->partitions, value_str(c->argv[0]), c->arena);
}

static const struct {
    const char *name;
    size_t argc;
    struct value (*function)(const struct call *c);
} functions[] = {
    {"isSet", 1, fn_is_set},
    {"not", 1, fn_not},
    {"getAttr", 2, fn_get_attr},
    {"booleanEquals", 2, fn_equals},
    {"stringEquals", 2, fn_equals},
    {"substring", 4, fn_substring},
    {"parseURL", 1, fn_parse_url},
    {"uriEncode", 1, fn_uri_encode},
    {"isValidHostLabel", 2, fn_is_valid_host_label},
    {"aws.partition", 1, fn_partition},
    {"aws.parseArn", 1, fn_parse_arn},
    {"aws.isVirtualHostableS3Bucket", 2, fn_is_virtual_hostable},
};

struct value aws_endpoint_function(struct str name, const struct value *argv, size_t argc,
                                   struct value partitions, struct arena *arena, bool *ret_known)
{
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        if (!str_is(name, functions[i].name))
            continue;
        *ret_known = argc == functions[i].argc;
        struct call c = {argv, partitions, arena};
        return *ret_known ? functions[i].function(&c) : value_null();
    }
    *ret_known = false;
    return value_null();
}

struct value aws_endpoint_attribute(struct value v, struct str path)
{
    while (path.len) {
        struct str part = str_cut(&path, '.');
        struct str name = str_cut(&part, '[');
        const struct value *found = name.len ? value_get(v, name) : &v;
        if (!found)
            return value_null();
        v = *found;
        if (!part.len)
            continue;
        int64_t index;
        if (!str_to_int64(str_sub(part, 0, part.len - 1), &index) || v.kind != VALUE_LIST ||
            index < 0 || index >= v.len)
            return value_null();
        v = v.items[index];
    }
    return v;
}

/* The partitions' region patterns use \w, \d and \-; POSIX has other words for them. */
static bool region_matches(struct arena *arena, struct str pattern, struct str region)
{
    struct buf out = {.arena = arena};
    for (size_t i = 0; i < pattern.len; i++) {
        char next = i + 1 < pattern.len ? pattern.ptr[i + 1] : '\0';
        if (pattern.ptr[i] != '\\') {
            buf_add_byte(&out, pattern.ptr[i]);
            continue;
        }
        if (next == 'w')
            buf_add_cstr(&out, "[A-Za-z0-9_]");
        else if (next == 'd')
            buf_add_cstr(&out, "[0-9]");
        else if (next == '-')
            buf_add_byte(&out, '-');
        else
            buf_add(&out, pattern.ptr + i, 2);
        i++;
    }
    struct str posix = buf_str(&out), text = str_copy(arena, region);
    regex_t regex;
    if (!posix.ptr || !text.ptr || regcomp(&regex, posix.ptr, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    bool matches = regexec(&regex, text.ptr, 0, NULL, 0) == 0;
    regfree(&regex);
    return matches;
}

static struct value partition_outputs(struct value partition, struct arena *arena)
{
    const struct value *outputs = value_get(partition, STR("outputs"));
    const struct value *id = value_get(partition, STR("id"));
    struct value_builder map = {.arena = arena};
    for (uint32_t i = 0; outputs && outputs->kind == VALUE_MAP && i < outputs->len; i++)
        value_set_str(&map, value_str(outputs->pairs[i].key), outputs->pairs[i].value);
    value_set(&map, "name", id ? *id : value_null());
    return value_finish_map(&map);
}

struct value aws_partition_of(struct value partitions, struct str region, struct arena *arena)
{
    const struct value *list = value_get(partitions, STR("partitions"));
    if (!list || list->kind != VALUE_LIST || list->len == 0)
        return value_null();
    for (uint32_t i = 0; i < list->len; i++) {
        const struct value *regions = value_get(list->items[i], STR("regions"));
        if (regions && value_get(*regions, region))
            return partition_outputs(list->items[i], arena);
    }
    for (uint32_t i = 0; i < list->len; i++) {
        const struct value *pattern = value_get(list->items[i], STR("regionRegex"));
        if (pattern && region.len && region_matches(arena, value_str(*pattern), region))
            return partition_outputs(list->items[i], arena);
    }
    return partition_outputs(list->items[0], arena);
}
