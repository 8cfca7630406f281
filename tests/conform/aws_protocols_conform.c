// SPDX-License-Identifier: Apache-2.0
/* conform_aws_protocols DIR [MODELS]: the protocol suites (DIR/protocols) and the parsing of
 * recorded answers (DIR/response_parsing, with service models). Prints each failing case. */
#include "aws_compare.h"
#include "conform_file.h"

#include "aws/model_internal.h"
#include "aws/protocol_internal.h"
#include "base/hash.h"

#include <dirent.h>

/* Why a case may fail. Which of the cases that the reference client leaves out contradict it is
 * said here; what is ruled out is told by the model. */
static const struct {
    const char *id, *reason;
} skips[] = {
#include "aws_protocols_skips.h"
};

struct run {
    struct conform_result result;
    const char *file;
    const char *reason; // why a failure of this case is none, NULL = it is one
    struct aws_models *models;
};

static struct value get(struct value map, const char *key)
{
    const struct value *v = value_get(map, str_from(key));
    return v ? *v : value_null();
}

static bool has_trait(struct value shapes, const char *trait)
{
    for (uint32_t i = 0; shapes.kind == VALUE_MAP && i < shapes.len; i++)
        if (value_get(shapes.pairs[i].value, str_from(trait)))
            return true;
    return false;
}

static const char *listed(struct str id)
{
    for (size_t i = 0; i < sizeof skips / sizeof *skips; i++)
        if (str_is(id, skips[i].id))
            return skips[i].reason;
    return NULL;
}

static const char *reason_to_skip(struct value suite, struct value c)
{
    const char *reason = listed(value_path_str(c, "id"));
    if (reason)
        return reason;
    if (has_trait(get(suite, "shapes"), "eventstream"))
        return "event streams are ruled out";
    return get(c, "botocore_skips").b ? "the reference client leaves this case out" : NULL;
}

static bool fail(struct run *run, struct str id, const char *why, struct str want, struct str got)
{
    if (run->reason) {
        printf("skip %s %.*s: %s\n", run->file, STR_FMT(id), run->reason);
        run->result.skipped++;
        return false;
    }
    printf("FAIL %s %.*s: %s\n", run->file, STR_FMT(id), why);
    if (want.ptr || got.ptr)
        printf("  wanted: %.*s\n  got:    %.*s\n", STR_FMT(want), STR_FMT(got));
    run->result.failed++;
    return false;
}

/* The suite's model with this case's operation. */
static const struct aws_operation *make_operation(struct arena *arena, struct aws_service *service,
                                                  struct value suite, struct value given,
                                                  struct error *err)
{
    struct value_builder operations = {.arena = arena}, document = {.arena = arena};
    struct str name = value_path_str(given, "name");
    value_set_str(&operations, name, given);
    value_set(&document, "metadata", get(suite, "metadata"));
    value_set(&document, "shapes", get(suite, "shapes"));
    value_set(&document, "operations", value_finish_map(&operations));
    service->name = STR("suite");
    if (!model_fill_service(service, value_finish_map(&document), err))
        return NULL;
    return model_intern_operation(service, name, err);
}

/* ---- requests ---- */

static struct str header_of(const struct aws_http_request *request, struct str name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (str_eq_nocase(request->headers[i].name, name))
            return request->headers[i].value;
    return (struct str){0};
}

static bool is_json_header(const struct aws_operation *op, struct str name)
{
    for (size_t i = 0; op->input && i < op->input->shape->member_count; i++) {
        const struct aws_ref *member = &op->input->shape->members[i];
        if (member->json_value &&
            str_eq_nocase(member->wire.ptr ? member->wire : member->name, name))
            return true;
    }
    return false;
}

static bool check_headers(struct run *run, struct arena *arena, const struct aws_operation *op,
                          struct str id, const struct aws_http_request *request, struct value want)
{
    struct value headers = get(want, "headers"), forbidden = get(want, "forbidHeaders");
    bool untyped = compare_body_of(op) == COMPARE_XML || compare_body_of(op) == COMPARE_EXACT;
    for (uint32_t i = 0; headers.kind == VALUE_MAP && i < headers.len; i++) {
        struct str name = value_str(headers.pairs[i].key);
        if (untyped && str_eq_nocase(name, STR("Content-Type")) && !header_of(request, name).ptr)
            continue; // the reference client sends XML and payloads without a type, as the goldens
                      // do
        struct str value = value_str(headers.pairs[i].value), got = header_of(request, name);
        if (str_eq_nocase(name, STR("Content-Type")) && compare_body_of(op) == COMPARE_FORM) {
            got = str_sub(got, 0, str_find_byte(got, ';'));
            value = str_sub(value, 0, str_find_byte(value, ';'));
        }
        if (!compare_header(arena, got, value, is_json_header(op, name)))
            return fail(run, id, "header", value, got);
    }
    for (uint32_t i = 0; forbidden.kind == VALUE_LIST && i < forbidden.len; i++)
        if (header_of(request, value_str(forbidden.items[i])).ptr)
            return fail(run, id, "forbidden header", value_str(forbidden.items[i]),
                        (struct str){0});
    return true;
}

/* Scheme, host and path of the endpoint that the suite is run against. */
static void split_endpoint(struct str url, struct str *host, struct str *path)
{
    size_t at = str_find(url, STR("://"));
    struct str rest = at == SIZE_MAX ? url : str_sub(url, at + 3, SIZE_MAX);
    size_t slash = str_find_byte(rest, '/');
    *host = str_sub(rest, 0, slash);
    *path = slash == SIZE_MAX ? (struct str){0} : str_sub(rest, slash, SIZE_MAX);
}

static bool check_target(struct run *run, struct arena *arena, struct str id,
                         const struct aws_http_request *request, struct value suite,
                         struct value want)
{
    struct str endpoint = value_path_str(suite, "clientEndpoint"), host, base;
    struct value uri = get(want, "uri"), method = get(want, "method");
    split_endpoint(endpoint, &host, &base);
    struct str path =
        str_from(arena_printf(arena, "%.*s%.*s", STR_FMT(base), STR_FMT(request->path)));
    if (method.kind == VALUE_STRING && !str_eq(request->method, value_str(method)))
        return fail(run, id, "method", value_str(method), request->method);
    if (uri.kind == VALUE_STRING &&
        !compare_uri(arena, base.len ? path : request->path, request->query, value_str(uri)))
        return fail(
            run, id, "uri", value_str(uri),
            str_from(arena_printf(arena, "%.*s?%.*s", STR_FMT(path), STR_FMT(request->query))));
    struct str wanted = value_path_str(want, "host");
    wanted = str_sub(wanted, 0, str_find_byte(wanted, '/'));
    struct str got =
        str_from(arena_printf(arena, "%.*s%.*s", STR_FMT(request->host_prefix), STR_FMT(host)));
    if (wanted.len && endpoint.len && !str_eq(wanted, got))
        return fail(run, id, "host", wanted, got);
    return true;
}

/* The caller fills a missing token; the suite wants the nil one. */
static struct value with_token(struct arena *arena, const struct aws_operation *op,
                               struct value params)
{
    if (!op->token.len || value_get(params, op->token))
        return params;
    struct value_builder filled = {.arena = arena};
    for (uint32_t i = 0; params.kind == VALUE_MAP && i < params.len; i++)
        value_set_str(&filled, value_str(params.pairs[i].key), params.pairs[i].value);
    value_set_str(&filled, op->token, value_cstr("00000000-0000-4000-8000-000000000000"));
    return value_finish_map(&filled);
}

/* Bodies in CBOR are written in base64. */
static struct str wire_body(struct arena *arena, const struct aws_operation *op, struct value body)
{
    struct str bytes;
    if (op->service->protocol == AWS_PROTOCOL_CBOR &&
        hash_from_base64(arena, value_str(body), &bytes))
        return bytes;
    return value_str(body);
}

static void run_input(struct run *run, struct arena *arena, const struct aws_operation *op,
                      struct value suite, struct value c)
{
    struct str id = value_path_str(c, "id");
    struct value want = get(c, "serialized"), body = get(want, "body");
    struct aws_http_request request;
    struct error err = {0};
    struct value params = with_token(arena, op, get(c, "params"));
    if (!protocol_serialize(op, params, arena, &request, &err)) {
        fail(run, id, err.message, (struct str){0}, (struct str){0});
        return;
    }
    if (!check_target(run, arena, id, &request, suite, want) ||
        !check_headers(run, arena, op, id, &request, want))
        return;
    if (body.kind == VALUE_STRING &&
        !compare_bodies(arena, compare_body_of(op), request.body, wire_body(arena, op, body))) {
        fail(run, id, "body", value_str(body), request.body);
        return;
    }
    run->result.passed++;
}

/* ---- answers ---- */

static void take_headers(struct arena *arena, struct value headers, struct aws_http_answer *answer)
{
    size_t count = headers.kind == VALUE_MAP ? headers.len : 0;
    struct net_header *list = ARENA_ARRAY(arena, struct net_header, count);
    for (size_t i = 0; list && i < count; i++)
        list[i] =
            (struct net_header){value_str(headers.pairs[i].key), value_str(headers.pairs[i].value)};
    answer->headers = list;
    answer->header_count = count;
}

static void check_error(struct run *run, struct arena *arena, const struct aws_operation *op,
                        const struct aws_http_answer *answer, struct value c)
{
    struct str id = value_path_str(c, "id");
    struct aws_service_error error;
    struct buf where = {.arena = arena}, text = {.arena = arena};
    struct value code = get(c, "errorCode"), message = get(c, "errorMessage"),
                 members = get(c, "error");
    aws_parse_error(op, answer, arena, &error);
    json_write(&text, error.members, JSON_COMPACT);
    if (code.kind == VALUE_STRING && !str_eq(error.code, value_str(code)))
        fail(run, id, "error code", value_str(code), error.code);
    else if (message.kind == VALUE_STRING && !str_eq(error.message, value_str(message)))
        fail(run, id, "error message", value_str(message), error.message);
    else if (members.kind == VALUE_MAP && !compare_output(error.members, members, &where))
        fail(run, id, "error members", buf_str(&where), buf_str(&text));
    else
        run->result.passed++;
}

static void run_output(struct run *run, struct arena *arena, const struct aws_operation *op,
                       struct value c)
{
    struct str id = value_path_str(c, "id");
    struct value response = get(c, "response"), got;
    struct aws_http_answer answer = {.status = (int)get(response, "status_code").i,
                                     .body = wire_body(arena, op, get(response, "body"))};
    struct error err = {0};
    struct buf where = {.arena = arena}, text = {.arena = arena};
    take_headers(arena, get(response, "headers"), &answer);
    if (get(c, "errorCode").kind != VALUE_NULL || !aws_answer_is_ok(op, &answer)) {
        check_error(run, arena, op, &answer, c);
        return;
    }
    if (!protocol_parse(op, &answer, arena, &got, &err)) {
        fail(run, id, err.message, answer.body, (struct str){0});
        return;
    }
    json_write(&text, got, JSON_COMPACT);
    if (!compare_output(got, get(c, "result"), &where))
        fail(run, id, "output", buf_str(&where), buf_str(&text));
    else
        run->result.passed++;
}

static void run_suite(struct run *run, struct value suite)
{
    struct value cases = get(suite, "cases");
    for (uint32_t i = 0; cases.kind == VALUE_LIST && i < cases.len; i++) {
        ARENA_AUTO struct arena arena = {0};
        struct aws_service service = {0};
        struct error err = {0};
        struct value c = cases.items[i];
        struct str id = value_path_str(c, "id");
        run->reason = reason_to_skip(suite, c);
        const struct aws_operation *op =
            make_operation(&arena, &service, suite, get(c, "given"), &err);
        if (!op)
            fail(run, id, err.message, (struct str){0}, (struct str){0});
        else if (get(c, "response").kind == VALUE_MAP)
            run_output(run, &arena, op, c);
        else
            run_input(run, &arena, op, suite, c);
        arena_finish(&service.arena);
        run->reason = NULL;
    }
}

static void run_folder(struct run *run, const char *root, const char *folder)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", root, folder);
    DIR *dir = opendir(path);
    if (!dir) {
        printf("skipped: %s is not there\n", path);
        run->result.missing++;
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        ARENA_AUTO struct arena arena = {0};
        struct value suites;
        char file[4500], shown[512];
        if (!str_ends(str_from(entry->d_name), STR(".json")))
            continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        snprintf(shown, sizeof shown, "%s/%s", folder, entry->d_name);
        run->file = shown;
        if (!conform_read(&run->result, file, &arena, &suites))
            continue;
        for (uint32_t i = 0; suites.kind == VALUE_LIST && i < suites.len; i++)
            run_suite(run, suites.items[i]);
    }
    closedir(dir);
}

/* ---- recorded answers ---- */

static bool same_letters(struct str pascal, struct str dashed)
{
    size_t i = 0, j = 0;
    while (i < pascal.len && j < dashed.len) {
        if (dashed.ptr[j] == '-') {
            j++;
            continue;
        }
        if ((pascal.ptr[i] | 0x20) != (dashed.ptr[j] | 0x20))
            return false;
        i++;
        j++;
    }
    return i == pascal.len && j == dashed.len;
}

/* "iam-get-user" to iam:GetUser; the service's name may have dashes of its own. */
static const struct aws_operation *named_operation(struct run *run, struct arena *arena,
                                                   struct str name)
{
    for (size_t dash = 0; dash < name.len; dash++) {
        struct str *operations;
        size_t count;
        struct str service = str_sub(name, 0, dash);
        if (name.ptr[dash] != '-' || !dash ||
            !aws_models_list(run->models, service, arena, &operations, &count, NULL))
            continue;
        for (size_t i = 0; i < count; i++) {
            if (!same_letters(operations[i], str_sub(name, dash + 1, SIZE_MAX)))
                continue;
            char *full = arena_printf(arena, "%.*s:%.*s", STR_FMT(service), STR_FMT(operations[i]));
            return aws_operation_find(run->models, str_from(full), NULL);
        }
    }
    return NULL;
}

static void check_recorded(struct run *run, struct arena *arena, const struct aws_operation *op,
                           struct str name, struct aws_http_answer *answer, struct value want)
{
    struct buf where = {.arena = arena}, text = {.arena = arena};
    struct error err = {0};
    struct value got, expected = get(want, "Error");
    if (expected.kind == VALUE_MAP) {
        struct aws_service_error error;
        aws_parse_error(op, answer, arena, &error);
        if (!str_eq(error.code, value_path_str(expected, "Code")))
            fail(run, name, "error code", value_path_str(expected, "Code"), error.code);
        else if (!str_eq(error.message, value_path_str(expected, "Message")))
            fail(run, name, "error message", value_path_str(expected, "Message"), error.message);
        else
            run->result.passed++;
        return;
    }
    if (!aws_parse_answer(op, answer, arena, &got, &err)) {
        fail(run, name, err.message, (struct str){0}, (struct str){0});
        return;
    }
    struct value_pair *pairs = ARENA_ARRAY(arena, struct value_pair, want.len);
    size_t count = 0;
    for (uint32_t i = 0; i < want.len; i++)
        if (!str_is(value_str(want.pairs[i].key), "ResponseMetadata"))
            pairs[count++] = want.pairs[i];
    json_write(&text, got, JSON_COMPACT);
    if (!value_map(arena, pairs, count, &want, NULL) || !compare_output(got, want, &where))
        fail(run, name, "output", buf_str(&where), buf_str(&text));
    else
        run->result.passed++;
}

/* Every ANSWERS/NAME.xml (or .json) with EXPECTED/NAME.json. */
static void run_recorded(struct run *run, const char *root, const char *answers,
                         const char *expected, const char *suffix, int status)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", root, answers);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        ARENA_AUTO struct arena arena = {0};
        struct str file = str_from(entry->d_name);
        if (!str_ends(file, str_from(suffix)))
            continue;
        struct str name = str_sub(file, 0, file.len - strlen(suffix));
        char from[4500], to[4500];
        struct aws_http_answer answer = {.status = status};
        struct value want;
        snprintf(from, sizeof from, "%s/%s", path, entry->d_name);
        snprintf(to, sizeof to, "%s/%s/%.*s.json", root, expected, STR_FMT(name));
        run->file = answers;
        run->reason = listed(name);
        const struct aws_operation *op =
            named_operation(run, &arena, str_sub(name, 0, str_find_byte(name, '#')));
        if (!op) {
            fail(run, name, "there is no such operation", (struct str){0}, (struct str){0});
            continue;
        }
        if (conform_read_text(from, &arena, &answer.body) &&
            conform_read(&run->result, to, &arena, &want))
            check_recorded(run, &arena, op, name, &answer, want);
    }
    if (dir)
        closedir(dir);
}

/* ---- CBOR items: {"input": hex, "expect": {KIND: ...}} or {"input": hex, "error": true} ---- */

static bool same_bits(double got, struct value bits, bool wide)
{
    union {
        double d;
        uint64_t u;
    } full = {.d = got};
    union {
        float f;
        uint32_t u;
    } narrow = {.f = (float)got};
    uint64_t wanted = bits.kind == VALUE_DOUBLE ? (uint64_t)bits.d : bits.u;
    return (wide ? full.u : narrow.u) == wanted;
}

static bool same_item(struct value got, struct value expect)
{
    struct str kind = expect.len == 1 ? value_str(expect.pairs[0].key) : (struct str){0};
    struct value want = expect.len == 1 ? expect.pairs[0].value : value_null();
    if (str_is(kind, "null"))
        return got.kind == VALUE_NULL;
    if (str_is(kind, "float64") || str_is(kind, "float32"))
        return got.kind == VALUE_DOUBLE && same_bits(got.d, want, str_is(kind, "float64"));
    if (str_is(kind, "bytestring")) {
        bool same = got.kind == VALUE_BYTES && got.len == want.len;
        for (uint32_t i = 0; same && i < got.len; i++)
            same = (unsigned char)got.str[i] == want.items[i].i;
        return same;
    }
    if (str_is(kind, "list")) {
        bool same = got.kind == VALUE_LIST && got.len == want.len;
        for (uint32_t i = 0; same && i < got.len; i++)
            same = same_item(got.items[i], want.items[i]);
        return same;
    }
    if (str_is(kind, "map")) {
        bool same = got.kind == VALUE_MAP && got.len == want.len;
        for (uint32_t i = 0; same && i < got.len; i++) {
            const struct value *v = value_get_key(want, got.pairs[i].key);
            same = v && same_item(got.pairs[i].value, *v);
        }
        return same;
    }
    return value_equal(got, want);
}

static const char *cbor_reason(struct value expect)
{
    struct buf text = {.arena = &(struct arena){0}};
    json_write(&text, expect, JSON_COMPACT);
    bool tag = str_find(buf_str(&text), STR("\"tag\"")) != SIZE_MAX;
    bool large = str_find(buf_str(&text), STR("\"negint\":-1844674407370955")) != SIZE_MAX;
    arena_finish(text.arena);
    return tag ? "only times have tags" : large ? "no such integer exists here" : NULL;
}

static void run_cbor(struct run *run, const char *root, const char *name)
{
    ARENA_AUTO struct arena arena = {0};
    char path[4096];
    struct value cases;
    snprintf(path, sizeof path, "%s/cbor/%s", root, name);
    run->file = name;
    if (!conform_read(&run->result, path, &arena, &cases))
        return;
    for (uint32_t i = 0; cases.kind == VALUE_LIST && i < cases.len; i++) {
        struct value c = cases.items[i], got, expect = get(c, "expect");
        struct str hex = value_path_str(c, "input"), id = value_path_str(c, "description");
        size_t size = hex.len / 2;
        char *bytes = arena_alloc_raw(&arena, size + 1, 1);
        bool wanted = expect.kind == VALUE_MAP;
        run->reason = wanted ? cbor_reason(expect) : NULL;
        bool ok = bytes && hash_from_hex(hex, bytes, size) &&
                  cbor_parse(&arena, (struct str){bytes, size}, &got, NULL);
        if (ok != wanted || (ok && !same_item(got, expect)))
            fail(run, id, ok ? "another value" : "refused", hex, (struct str){0});
        else
            run->result.passed++;
        run->reason = NULL;
    }
}

int main(int argc, char **argv)
{
    static const char *const folders[] = {"protocols/input", "protocols/output",
                                          "protocols/legacy/input", "protocols/legacy/output"};
    struct run run = {0};
    struct error err = {0};
    const char *models = argc > 2 ? argv[2] : getenv("RECTIFY_MODELS");
    if (argc < 2) {
        fputs("usage: conform_aws_protocols DIR [MODELS]\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        run_folder(&run, argv[1], folders[i]);
    run_cbor(&run, argv[1], "decode-success-tests.json");
    run_cbor(&run, argv[1], "decode-error-tests.json");
    run.models = aws_models_open(models ? models : CONFORM_MODELS, &err);
    if (run.models) {
        run_recorded(&run, argv[1], "response_parsing/xml/responses",
                     "response_parsing/xml/responses", ".xml", 200);
        run_recorded(&run, argv[1], "response_parsing/xml/errors", "response_parsing/xml/errors",
                     ".xml", 400);
        run_recorded(&run, argv[1], "response_parsing/json/errors",
                     "response_parsing/json/expected", ".json", 400);
    } else {
        printf("skipped: response_parsing: %s\n", err.message);
    }
    aws_models_close(run.models);
    return conform_end(&run.result);
}
