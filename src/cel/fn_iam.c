// SPDX-License-Identifier: Apache-2.0
/* IAM policy documents (docs.aws.amazon.com/IAM, "Grammar of the IAM JSON policy language"): given
 * as an object, as JSON text or as URL-encoded JSON text, read, searched and rewritten.
 *
 * "Public" is meant as S3's Block Public Access means it: an Allow for everybody ("*", or
 * NotPrincipal) that no condition narrows to fixed values of a key that says who or from where.
 * When in doubt a statement counts as public. */
#include <stdio.h>

#include "cel/cel_internal.h"
#include "value/json.h"

/* ---- reading ---- */

static int hex_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* As IAM's own answers encode documents. False: memory, or a bad escape. */
static bool url_decode(struct cel_cx *cx, struct str text, struct str *ret)
{
    char *out = cx_alloc(cx, text.len);
    size_t size = 0;
    for (size_t i = 0; out && i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_of(text.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex_of(text.ptr[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        out[size++] = c;
    }
    *ret = (struct str){out, size};
    return out != NULL;
}

static bool fail_document(struct cel_cx *cx, const char *why)
{
    cx_fail(cx, "C0206", "not an IAM policy document: %s", why);
    return false;
}

/* The document as a map. False: failed. */
static bool document(struct cel_cx *cx, struct value v, struct value *ret)
{
    if (v.kind == VALUE_STRING) {
        struct str text = value_str(v);
        struct error err = {0};
        if (!cx_charge_text(cx, text.len * 2)) {
            cx_fail_cost(cx);
            return false;
        }
        if (str_starts(text, STR("%7B")) && !url_decode(cx, text, &text))
            return fail_document(cx, "bad URL encoding");
        size_t before = cx->arena->used;
        if (!json_parse(cx->arena, text, &v, &err))
            return fail_document(cx, err.message);
        size_t used = cx->arena->used - before;
        if (used > cx->bytes) {
            cx_fail_memory(cx);
            return false;
        }
        cx->bytes -= used;
    }
    if (v.kind != VALUE_MAP)
        return fail_document(cx, "an object is needed");
    *ret = v;
    return true;
}

/* One value or a list of them, as a list. */
static struct value listed(struct cel_cx *cx, const struct value *v)
{
    if (!v || v->kind == VALUE_NULL)
        return value_list(NULL, 0);
    if (v->kind == VALUE_LIST)
        return *v;
    struct value *item = cx_alloc(cx, sizeof *item);
    if (!item)
        return cx_fail_memory(cx);
    *item = *v;
    return value_list(item, 1);
}

/* The same, its items all of one kind; `name` is what holds it. */
static struct value listed_of(struct cel_cx *cx, const struct value *v, struct str name,
                              enum value_kind kind)
{
    struct value list = listed(cx, v);
    for (uint32_t i = 0; list.kind == VALUE_LIST && i < list.len; i++)
        if (list.items[i].kind != kind)
            return cx_fail(cx, "C0206", "not an IAM policy: %.*s holds a %s", STR_FMT(name),
                           cel_value_type_name(list.items[i]));
    return list;
}

static struct value member_list(struct cel_cx *cx, struct value map, struct str name,
                                enum value_kind kind)
{
    return listed_of(cx, value_get(map, name), name, kind);
}

/* ---- conditions ---- */

/* Keys that say who calls or from where. */
static bool narrows(struct str key)
{
    static const char *const keys[] = {
        "aws:SourceArn",          "aws:SourceAccount",     "aws:SourceOwner",
        "aws:SourceOrgID",        "aws:PrincipalArn",      "aws:PrincipalAccount",
        "aws:PrincipalOrgID",     "aws:PrincipalOrgPaths", "aws:userid",
        "aws:SourceVpc",          "aws:SourceVpce",        "aws:SourceVpcArn",
        "aws:SourceIp",           "aws:VpcSourceIp",       "aws:VpceAccount",
        "aws:VpceOrgID",          "kms:CallerAccount",     "s3:DataAccessPointAccount",
        "s3:DataAccessPointArn",  "s3:ResourceAccount",    "elasticfilesystem:AccessPointArn",
        "lambda:EventSourceToken"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (str_eq_nocase(key, str_from(keys[i])))
            return true;
    return false;
}

/* Prefixes up to which a network is "everybody": what is as wide as a continent's share. */
#define PUBLIC_PREFIX_V4 7
#define PUBLIC_PREFIX_V6 31

static bool has_wildcard(struct str text)
{
    return str_find_byte(text, '*') != SIZE_MAX || str_find_byte(text, '?') != SIZE_MAX;
}

/* Is this a value that names somebody? An ARN may have wildcards behind its account, an
 * organisation's path behind its id. */
static bool fixed_text(struct str text)
{
    if (!has_wildcard(text))
        return true;
    if (str_starts(text, STR("o-")))
        return !has_wildcard(str_cut(&text, '/'));
    if (!str_is(str_cut(&text, ':'), "arn"))
        return false;
    struct str account = {0};
    for (unsigned i = 0; i < 4 && text.ptr; i++) // partition, service, region, account
        account = str_cut(&text, ':');
    return text.ptr && account.len > 0 && !has_wildcard(account);
}

static bool fixed_address(struct str text)
{
    struct cel_ip net;
    if (!net_parse(text, &net))
        return false;
    return net.prefix > (net.family == 4 ? PUBLIC_PREFIX_V4 : PUBLIC_PREFIX_V6);
}

/* Operators under which a key must be there and be one of the values. */
static bool demands(struct str operator_name)
{
    static const char *const names[] = {"StringEquals", "StringEqualsIgnoreCase",
                                        "StringLike",   "ArnEquals",
                                        "ArnLike",      "IpAddress"};
    if (str_starts(operator_name, STR("ForAnyValue:")))
        operator_name = str_sub(operator_name, 12, SIZE_MAX);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq_nocase(operator_name, str_from(names[i])))
            return true;
    return false;
}

static bool narrowed_by(struct cel_cx *cx, struct value tests, bool address)
{
    for (uint32_t i = 0; i < tests.len; i++) {
        if (!narrows(value_str(tests.pairs[i].key)))
            continue;
        struct value values = listed(cx, &tests.pairs[i].value);
        bool fixed = values.kind == VALUE_LIST && values.len > 0;
        for (uint32_t k = 0; fixed && k < values.len; k++) {
            struct str text = value_str(values.items[k]);
            fixed = text.len && (address ? fixed_address(text) : fixed_text(text));
        }
        if (fixed)
            return true;
    }
    return false;
}

static bool narrowed(struct cel_cx *cx, struct value statement)
{
    const struct value *conditions = value_get(statement, STR("Condition"));
    if (!conditions || conditions->kind != VALUE_MAP)
        return false;
    for (uint32_t i = 0; i < conditions->len; i++) {
        struct str name = value_str(conditions->pairs[i].key);
        struct value tests = conditions->pairs[i].value;
        if (tests.kind == VALUE_MAP && demands(name) &&
            narrowed_by(cx, tests, str_eq_nocase(name, STR("IpAddress"))))
            return true;
    }
    return false;
}

/* ---- statements ---- */

static bool names_everybody(struct cel_cx *cx, struct value principal)
{
    if (principal.kind == VALUE_STRING)
        return str_is(value_str(principal), "*");
    const struct value *accounts = value_get(principal, STR("AWS"));
    struct value list = accounts ? listed(cx, accounts) : value_list(NULL, 0);
    for (uint32_t i = 0; list.kind == VALUE_LIST && i < list.len; i++)
        if (str_is(value_str(list.items[i]), "*"))
            return true;
    return false;
}

static bool statement_public(struct cel_cx *cx, struct value statement)
{
    const struct value *effect = value_get(statement, STR("Effect"));
    const struct value *principal = value_get(statement, STR("Principal"));
    if (!effect || !str_eq_nocase(value_str(*effect), STR("Allow")))
        return false;
    bool everybody = value_get(statement, STR("NotPrincipal")) != NULL;
    if (principal)
        everybody |= names_everybody(cx, *principal);
    return everybody && !narrowed(cx, statement);
}

static struct value statements_of(struct cel_cx *cx, struct value doc)
{
    return member_list(cx, doc, STR("Statement"), VALUE_MAP);
}

static struct value allows_public(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct value doc;
    if (!document(cx, v[0], &doc))
        return cx_failed();
    if (value_get(doc, STR("Effect")))
        return value_bool(statement_public(cx, doc));
    struct value list = statements_of(cx, doc);
    if (list.kind != VALUE_LIST)
        return list;
    for (uint32_t i = 0; i < list.len; i++) {
        if (!cx_charge(cx, 20))
            return cx_fail_cost(cx);
        if (statement_public(cx, list.items[i]))
            return value_bool(true);
    }
    return value_bool(false);
}

static struct value parse(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct value doc;
    return document(cx, v[0], &doc) ? doc : cx_failed();
}

static struct value statements(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct value doc;
    return document(cx, v[0], &doc) ? statements_of(cx, doc) : cx_failed();
}

/* The document with other statements; everything else as it was. */
static struct value with_statements(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct value doc, result;
    if (!document(cx, v[0], &doc))
        return cx_failed();
    struct value_pair *pairs = cx_alloc(cx, ((size_t)doc.len + 1) * sizeof *pairs * 2);
    if (!pairs)
        return cx_fail_memory(cx);
    size_t used = 0;
    bool replaced = false;
    for (uint32_t i = 0; i < doc.len; i++) {
        pairs[used] = doc.pairs[i];
        if (str_is(value_str(pairs[used].key), "Statement")) {
            pairs[used].value = v[1];
            replaced = true;
        }
        used++;
    }
    if (!replaced)
        pairs[used++] = (struct value_pair){value_cstr("Statement"), v[1]};
    return value_map(cx->arena, pairs, used, &result, NULL) ? result : cx_fail_memory(cx);
}

static struct value actions(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    return member_list(cx, v[0], STR("Action"), VALUE_STRING);
}

static struct value resources(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    return member_list(cx, v[0], STR("Resource"), VALUE_STRING);
}

/* Principals of all kinds in one list; "*" for everybody. */
static struct value principals(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct value_builder all = {.arena = cx->arena};
    const struct value *principal = value_get(v[0], STR("Principal"));
    if (!principal || principal->kind != VALUE_MAP)
        return member_list(cx, v[0], STR("Principal"), VALUE_STRING);
    for (uint32_t i = 0; i < principal->len; i++) {
        struct str kind = value_str(principal->pairs[i].key);
        struct value list = listed_of(cx, &principal->pairs[i].value, kind, VALUE_STRING);
        if (list.kind != VALUE_LIST)
            return list;
        for (uint32_t k = 0; k < list.len; k++)
            value_push(&all, list.items[k]);
    }
    return all.failed || !cx_charge(cx, all.count) ? cx_fail_memory(cx) : value_finish_list(&all);
}

static const struct cel_overload parses[] = {F(parse, &T_MAP_STRING_DYN, &T_STRING),
                                             F(parse, &T_MAP_STRING_DYN, &T_MAP_STRING_DYN)};
static const struct cel_overload publics[] = {F(allows_public, &T_BOOL, &T_STRING),
                                              F(allows_public, &T_BOOL, &T_MAP_STRING_DYN)};
static const struct cel_overload member_publics[] = {M(allows_public, &T_BOOL, &T_STRING),
                                                     M(allows_public, &T_BOOL, &T_MAP_STRING_DYN)};
static const struct cel_overload statement_lists[] = {
    F(statements, &T_LIST_MAP, &T_STRING), F(statements, &T_LIST_MAP, &T_MAP_STRING_DYN)};
static const struct cel_overload member_statements[] = {
    M(statements, &T_LIST_MAP, &T_STRING), M(statements, &T_LIST_MAP, &T_MAP_STRING_DYN)};
static const struct cel_overload withs[] = {
    F(with_statements, &T_MAP_STRING_DYN, &T_STRING, &T_LIST_DYN),
    F(with_statements, &T_MAP_STRING_DYN, &T_MAP_STRING_DYN, &T_LIST_DYN)};
static const struct cel_overload member_withs[] = {
    M(with_statements, &T_MAP_STRING_DYN, &T_STRING, &T_LIST_DYN),
    M(with_statements, &T_MAP_STRING_DYN, &T_MAP_STRING_DYN, &T_LIST_DYN)};
static const struct cel_overload action_lists[] = {F(actions, &T_LIST_STRING, &T_MAP_STRING_DYN)};
static const struct cel_overload resource_lists[] = {
    F(resources, &T_LIST_STRING, &T_MAP_STRING_DYN)};
static const struct cel_overload principal_lists[] = {
    F(principals, &T_LIST_STRING, &T_MAP_STRING_DYN)};

#define PUBLIC_EXAMPLE                                                                             \
    "{'Statement': [{'Effect': 'Allow', 'Principal': '*', 'Action': 's3:GetObject'}]}"
static const struct cel_function functions[] = {
    {"iam.policy",
     "An IAM policy document as an object, from JSON text (URL-encoded too) or an object.",
     "iam.policy('{\"Version\": \"2012-10-17\", \"Statement\": []}').Version == '2012-10-17'",
     OVERLOADS(parses)},
    {"iam.statements", "The document's statements, always as a list.",
     "size(iam.statements('{\"Statement\": {\"Effect\": \"Deny\"}}')) == 1",
     OVERLOADS(statement_lists)},
    {"statements", "The same, written behind the document.",
     "{'Statement': {'Effect': 'Deny'}}.statements()[0].Effect == 'Deny'",
     OVERLOADS(member_statements)},
    {"iam.allowsPublic",
     "Does the document, or one statement, allow everybody something, without a condition that "
     "says who or from "
     "where?",
     "iam.allowsPublic(" PUBLIC_EXAMPLE ")", OVERLOADS(publics)},
    {"allowsPublic", "The same, written behind the document or the statement.",
     PUBLIC_EXAMPLE ".allowsPublic()", OVERLOADS(member_publics)},
    {"iam.withStatements", "The document with these statements in place of its own.",
     "iam.withStatements({'Version': 'x', 'Statement': [1]}, []) == {'Version': 'x', 'Statement': "
     "[]}",
     OVERLOADS(withs)},
    {"withStatements", "The same, written behind the document.",
     PUBLIC_EXAMPLE ".withStatements([]).Statement == []", OVERLOADS(member_withs)},
    {"iam.actions", "A statement's actions, always as a list.",
     "iam.actions({'Action': 's3:*'}) == ['s3:*']", OVERLOADS(action_lists)},
    {"iam.resources", "A statement's resources, always as a list.",
     "iam.resources({'Resource': ['a', 'b']}) == ['a', 'b']", OVERLOADS(resource_lists)},
    {"iam.principals", "A statement's principals of all kinds in one list.",
     "iam.principals({'Principal': {'AWS': '*', 'Service': ['a']}}) == ['*', 'a']",
     OVERLOADS(principal_lists)},
};

const struct cel_group group_iam = {"iam", false, OVERLOADS(functions)};
