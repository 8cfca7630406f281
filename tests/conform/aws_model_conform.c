// SPDX-License-Identifier: Apache-2.0
/* conform_aws_model DIR [MODELS]: requests and answers of every operation (DIR/requests,
 * DIR/responses, or DIR/vectors.tar.zst, which is unpacked into a temporary folder).
 *
 * The cases are made from one version of the service models. Where MODELS is another, operations
 * that it does not have, or has with other members, or of another API version or protocol, are
 * counted apart as skipped. */
#include "aws_compare.h"
#include "conform_file.h"

#include "aws/protocol_internal.h"
#include "base/hash.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

/* Cases that cannot pass, by operation: with which models (NULL = any), and why. */
static const struct {
    const char *operation, *models, *reason;
} skips[] = {
#include "aws_model_skips.h"
};

struct run {
    struct conform_result result;
    struct aws_models *models;
    struct str service;
    const char *reason; // why a failure of this case is none, NULL = it is one
    unsigned other_model;
};

static struct value get(struct value map, const char *key)
{
    const struct value *v = value_get(map, str_from(key));
    return v ? *v : value_null();
}

static void fail(struct run *run, struct value c, const char *what, struct str want, struct str got)
{
    printf("%s %.*s:%.*s %.*s: %s\n", run->reason ? "skip" : "FAIL", STR_FMT(run->service),
           STR_FMT(value_path_str(c, "op")), STR_FMT(value_path_str(c, "mode")),
           run->reason ? run->reason : what);
    if (run->reason) {
        run->result.skipped++;
        return;
    }
    if (want.ptr || got.ptr)
        printf("  wanted: %.*s\n  got:    %.*s\n", STR_FMT(want), STR_FMT(got));
    run->result.failed++;
}

static const char *reason_to_skip(struct run *run, const struct aws_operation *op, struct str name)
{
    const struct aws_shape *ends[] = {aws_operation_input(op), aws_operation_output(op)};
    struct str source = aws_models_source(run->models);
    for (size_t i = 0; i < sizeof skips / sizeof *skips; i++)
        if (str_is(name, skips[i].operation) &&
            (!skips[i].models || str_is(source, skips[i].models)))
            return skips[i].reason;
    for (size_t e = 0; e < 2; e++)
        for (size_t i = 0; ends[e] && i < ends[e]->member_count; i++)
            if (ends[e]->members[i].event_stream)
                return "event streams are ruled out";
    return NULL;
}

/* Are all names that the case uses in our model? */
static bool is_modeled(const struct aws_shape *shape, struct value v)
{
    if (!shape || shape->document)
        return true;
    if (shape->kind == AWS_LIST && v.kind == VALUE_LIST) {
        for (uint32_t i = 0; i < v.len; i++)
            if (!is_modeled(shape->item->shape, v.items[i]))
                return false;
    } else if (shape->kind == AWS_MAP && v.kind == VALUE_MAP) {
        for (uint32_t i = 0; i < v.len; i++)
            if (!is_modeled(shape->item->shape, v.pairs[i].value))
                return false;
    } else if (shape->kind == AWS_STRUCTURE && v.kind == VALUE_MAP) {
        for (uint32_t i = 0; i < v.len; i++) {
            const struct aws_ref *member = aws_shape_find(shape, value_str(v.pairs[i].key));
            if (!member || !is_modeled(member->shape, v.pairs[i].value))
                return false;
        }
    }
    return true;
}

static struct str body_of(struct arena *arena, struct value body)
{
    struct value v = compare_untag(arena, body), text = get(body, "text"), b64 = get(body, "b64");
    struct str bytes;
    if (text.kind == VALUE_STRING)
        return value_str(text);
    if (b64.kind == VALUE_STRING && hash_from_base64(arena, value_str(b64), &bytes))
        return bytes;
    return value_str(v);
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
        struct str wire = member->wire.ptr ? member->wire : member->name;
        if (member->json_value && str_eq_nocase(wire, name))
            return true;
    }
    return false;
}

static bool same_headers(struct run *run, struct arena *arena, const struct aws_operation *op,
                         const struct aws_http_request *request, struct value c)
{
    struct value headers = get(c, "headers");
    for (uint32_t i = 0; headers.kind == VALUE_MAP && i < headers.len; i++) {
        struct str name = value_str(headers.pairs[i].key);
        struct str want = value_str(headers.pairs[i].value), got = header_of(request, name);
        if (str_eq_nocase(name, STR("User-Agent")))
            continue;
        if (!compare_header(arena, got, want, is_json_header(op, name))) {
            fail(run, c, headers.pairs[i].key.str, want, got);
            return false;
        }
    }
    return true;
}

/* The cases have the model's template: its labels are filled in here. */
static bool same_host_prefix(struct arena *arena, struct value params, struct str want,
                             struct str got)
{
    struct buf filled = {.arena = arena};
    while (want.len) {
        size_t open = str_find_byte(want, '{');
        buf_add_str(&filled, str_sub(want, 0, open));
        if (open == SIZE_MAX)
            break;
        want = str_sub(want, open + 1, SIZE_MAX);
        const struct value *v = value_get(params, str_cut(&want, '}'));
        buf_add_str(&filled, v ? value_str(*v) : (struct str){0});
    }
    return str_eq(buf_str(&filled), got);
}

static void run_request(struct run *run, struct arena *arena, const struct aws_operation *op,
                        struct value c)
{
    struct value params = compare_untag(arena, get(c, "params"));
    struct aws_http_request request;
    struct error err = {0};
    struct str body = body_of(arena, get(c, "body")), uri = value_path_str(c, "uri");
    if (!is_modeled(aws_operation_input(op), params)) {
        run->other_model++;
        return;
    }
    if (!protocol_serialize(op, params, arena, &request, &err)) {
        fail(run, c, err.message, (struct str){0}, (struct str){0});
        return;
    }
    if (!str_eq(request.method, value_path_str(c, "method")))
        fail(run, c, "method", value_path_str(c, "method"), request.method);
    else if (!compare_uri(arena, request.path, request.query, uri))
        fail(run, c, "uri", uri,
             str_from(
                 arena_printf(arena, "%.*s?%.*s", STR_FMT(request.path), STR_FMT(request.query))));
    else if (!same_host_prefix(arena, params, value_path_str(c, "hostPrefix"), request.host_prefix))
        fail(run, c, "host prefix", value_path_str(c, "hostPrefix"), request.host_prefix);
    else if (!compare_bodies(arena, compare_body_of(op), request.body, body))
        fail(run, c, "body", body, request.body);
    else if (same_headers(run, arena, op, &request, c))
        run->result.passed++;
}

/* ---- answers ---- */

static void run_answer(struct run *run, struct arena *arena, const struct aws_operation *op,
                       struct value c)
{
    struct value headers = get(c, "headers"), got, want = compare_untag(arena, get(c, "expect"));
    struct aws_http_answer answer = {.status = (int)get(c, "status").i,
                                     .body = body_of(arena, get(c, "body"))};
    struct error err = {0};
    struct buf where = {.arena = arena}, text = {.arena = arena};
    size_t count = headers.kind == VALUE_MAP ? headers.len : 0;
    struct net_header *list = ARENA_ARRAY(arena, struct net_header, count);
    for (size_t i = 0; list && i < count; i++)
        list[i] =
            (struct net_header){value_str(headers.pairs[i].key), value_str(headers.pairs[i].value)};
    answer.headers = list;
    answer.header_count = count;
    if (!is_modeled(aws_operation_output(op), want)) {
        run->other_model++;
        return;
    }
    if (!aws_answer_is_ok(op, &answer))
        fail(run, c, "taken for an error", answer.body, (struct str){0});
    else if (!protocol_parse(op, &answer, arena, &got, &err))
        fail(run, c, err.message, answer.body, (struct str){0});
    else if (json_write(&text, got, JSON_COMPACT), !compare_output(got, want, &where))
        fail(run, c, "output", buf_str(&where), buf_str(&text));
    else
        run->result.passed++;
}

/* ---- files ---- */

static bool is_other_service(const struct aws_service *service, struct value file)
{
    static const char *const names[] = {"json",  "rest-json", "rest-xml", "smithy-rpc-v2-cbor",
                                        "query", "ec2"};
    struct str protocol = value_path_str(file, "protocol");
    return !str_eq(service->api_version, value_path_str(file, "apiVersion")) ||
           (protocol.len && !str_is(protocol, names[service->protocol]));
}

static void run_file(struct run *run, const char *path, bool requests)
{
    ARENA_AUTO struct arena arena = {0};
    struct value file;
    if (!conform_read(&run->result, path, &arena, &file))
        return;
    struct value vectors = get(file, "vectors");
    run->service = value_path_str(file, "service");
    const struct aws_service *service = aws_service_find(run->models, run->service, NULL);
    bool other = !service || is_other_service(service, file);
    for (uint32_t i = 0; vectors.kind == VALUE_LIST && i < vectors.len; i++) {
        ARENA_AUTO struct arena scratch = {0};
        struct value c = vectors.items[i];
        char *name = arena_printf(&scratch, "%.*s:%.*s", STR_FMT(run->service),
                                  STR_FMT(value_path_str(c, "op")));
        const struct aws_operation *op =
            other ? NULL : aws_operation_find(run->models, str_from(name), NULL);
        if (!op)
            run->other_model++;
        else if (run->reason = reason_to_skip(run, op, str_from(name)), requests)
            run_request(run, &scratch, op, c);
        else
            run_answer(run, &scratch, op, c);
    }
}

static bool run_folder(struct run *run, const char *root, const char *folder, bool requests)
{
    char path[4096], file[4500];
    snprintf(path, sizeof path, "%s/%s", root, folder);
    DIR *dir = opendir(path);
    if (!dir)
        return false;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!str_ends(str_from(entry->d_name), STR(".json")))
            continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        run_file(run, file, requests);
    }
    closedir(dir);
    return true;
}

static bool unpack(const char *from, const char *to)
{
    char command[9000];
    snprintf(command, sizeof command, "tar --zstd -xf '%s/vectors.tar.zst' -C '%s' 2>/dev/null",
             from, to);
    return !strchr(from, '\'') && system(command) == 0;
}

int main(int argc, char **argv)
{
    struct run run = {0};
    struct error err = {0};
    char temporary[] = "/tmp/conform-aws-model-XXXXXX", command[64];
    const char *models = argc > 2 ? argv[2] : getenv("RECTIFY_MODELS");
    if (argc < 2) {
        fputs("usage: conform_aws_model DIR [MODELS]\n", stderr);
        return 2;
    }
    run.models = aws_models_open(models ? models : CONFORM_MODELS, &err);
    if (!run.models) {
        printf("skipped: %s\n", err.message);
        return 77;
    }
    if (!run_folder(&run, argv[1], "requests", true) && mkdtemp(temporary)) {
        if (unpack(argv[1], temporary)) {
            run_folder(&run, temporary, "requests", true);
            run_folder(&run, temporary, "responses", false);
        } else {
            printf("skipped: %s has no vectors\n", argv[1]);
            run.result.missing++;
        }
        snprintf(command, sizeof command, "rm -rf %s", temporary);
        if (system(command) != 0)
            printf("%s is left behind\n", temporary);
    } else {
        run_folder(&run, argv[1], "responses", false);
    }
    struct str source = aws_models_source(run.models);
    if (run.other_model)
        printf("skip models: operations that %.*s does not have so (%u tests)\n", STR_FMT(source),
               run.other_model);
    run.result.skipped += run.other_model;
    aws_models_close(run.models);
    return conform_end(&run.result);
}
