// SPDX-License-Identifier: Apache-2.0
/* conform_sigv4 FILE...: signatures, from published suites. A case gives a request, credentials,
 * date and scope, and the canonical request, string to sign and signature that must come out. */
#include <stdio.h>
#include <stdlib.h>

#include "aws/sign.h"
#include "base/hash.h"
#include "conform_file.h"
#include "value/json.h"

static struct str get(struct value v, const char *path)
{
    return value_path_str(v, path);
}

static bool flag(struct value v, const char *name)
{
    const struct value *found = value_path(v, name);
    return found && found->kind == VALUE_BOOL && found->b;
}

static bool has_header(const struct net_header *headers, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq_nocase(headers[i].name, name))
            return true;
    }
    return false;
}

static struct str without_default_port(struct str host, struct str scheme)
{
    struct str port = str_is(scheme, "http") ? STR(":80") : STR(":443");
    return str_ends(host, port) ? str_sub(host, 0, host.len - port.len) : host;
}

#define HEADERS_MAX 32

static size_t add_pairs(const struct value *pairs, struct net_header *headers, size_t count)
{
    for (uint32_t i = 0; pairs && i < pairs->len && count < HEADERS_MAX; i++) {
        struct str name = get(pairs->items[i], "0");
        if (!has_header(headers, count, name) || !str_eq_nocase(name, STR("x-amz-date")))
            headers[count++] = (struct net_header){name, get(pairs->items[i], "1")};
    }
    return count;
}

/* The headers that are signed: the request's own and those that the signer has to add. */
static size_t collect_headers(struct value v, bool header_kind, struct str hash,
                              struct net_header *headers)
{
    size_t count = 0;
    struct str host = get(v, "request.host");
    if (host.len)
        headers[count++] =
            (struct net_header){STR("Host"), without_default_port(host, get(v, "request.scheme"))};
    const struct value *sent = value_path(v, "sent_headers");
    if (sent)
        return add_pairs(sent, headers, count);
    count = add_pairs(value_path(v, "request.headers"), headers, count);
    struct str token = get(v, "credentials.session_token");
    bool has_date = has_header(headers, count, STR("x-amz-date"));
    if (header_kind && !has_date)
        headers[count++] = (struct net_header){STR("X-Amz-Date"), get(v, "date")};
    if (header_kind && token.len && !flag(v, "omit_session_token") &&
        !has_header(headers, count, STR("x-amz-security-token")) &&
        !str_is(get(v, "name"), "botocore/post-sts-token/post-sts-header-after"))
        headers[count++] = (struct net_header){STR("X-Amz-Security-Token"), token};
    if (header_kind && flag(v, "sign_body_header"))
        headers[count++] = (struct net_header){STR("x-amz-content-sha256"), hash};
    return count;
}

static struct str payload_hash(struct value v, char hex[65])
{
    const struct value *sent = value_path(v, "sent_headers");
    for (uint32_t i = 0; sent && i < sent->len; i++) {
        if (str_eq_nocase(get(sent->items[i], "0"), STR("x-amz-content-sha256")) &&
            str_is(get(sent->items[i], "1"), AWS_UNSIGNED_PAYLOAD))
            return STR(AWS_UNSIGNED_PAYLOAD);
    }
    struct str body = get(v, "request.body");
    struct sha256 hash = hash_sha256(body.ptr, body.len);
    hash_hex(&hash, sizeof(hash), hex);
    return (struct str){hex, 64};
}

static bool run_case(struct value v, struct arena *arena, struct conform_result *result)
{
    char hex[65];
    bool header_kind = str_is(get(v, "kind"), "header");
    struct net_header headers[HEADERS_MAX + 4];
    struct aws_credentials credentials = {.access_key = get(v, "credentials.access_key_id"),
                                          .secret_key = get(v, "credentials.secret_access_key"),
                                          .token = get(v, "credentials.session_token")};
    struct str date = str_copy(arena, get(v, "date"));
    struct aws_sign_input input = {.method = get(v, "request.method"),
                                   .path = get(v, "request.path"),
                                   .query = get(v, "request.query"),
                                   .headers = headers,
                                   .payload_hash = payload_hash(v, hex),
                                   .credentials = &credentials,
                                   .date = date.ptr,
                                   .region = get(v, "region"),
                                   .service = get(v, "service"),
                                   .normalize_path = flag(v, "normalize_path"),
                                   .double_encode_path = flag(v, "double_encode_path")};
    input.header_count = collect_headers(v, header_kind, input.payload_hash, headers);
    struct aws_signature made;
    const struct value *expires = value_path(v, "expires");
    bool ok = header_kind ? aws_sign_headers(&input, arena, &made)
                          : aws_sign_query(&input, expires ? expires->i : 3600,
                                           flag(v, "omit_session_token"), arena, &made);
    if (!ok)
        return conform_fail(result, get(v, "name"), "out of memory");
    if (!str_eq(made.canonical_request, get(v, "canonical_request")))
        return conform_fail_text(result, get(v, "name"), get(v, "canonical_request"),
                                 made.canonical_request);
    if (!str_is(get(v, "signature"), made.signature) ||
        !str_eq(get(v, "string_to_sign"), made.string_to_sign))
        return conform_fail_text(result, get(v, "name"), get(v, "string_to_sign"),
                                 made.string_to_sign);
    struct str authorization = get(v, "authorization");
    if (authorization.len && !str_eq(authorization, made.authorization))
        return conform_fail_text(result, get(v, "name"), authorization, made.authorization);
    result->passed++;
    return true;
}

int main(int argc, char **argv)
{
    struct conform_result result = {0};
    for (int i = 1; i < argc; i++) {
        struct arena arena ARENA_AUTO = {0};
        struct value cases;
        if (!conform_read(&result, argv[i], &arena, &cases))
            continue;
        for (uint32_t k = 0; cases.kind == VALUE_LIST && k < cases.len; k++)
            run_case(cases.items[k], &arena, &result);
    }
    return conform_end(&result);
}
