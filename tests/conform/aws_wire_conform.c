// SPDX-License-Identifier: Apache-2.0
/* conform_aws_wire FILE|FOLDER [MODELS]: whole requests, byte for byte in the signature, at a
 * frozen time. FOLDER holds wire-requests.json, as it is or in vectors.tar.zst. */
#include <sys/stat.h>
#include <unistd.h>

#include "aws/client_internal.h"
#include "aws_compare.h"
#include "aws_versions.h"
#include "base/hash.h"
#include "conform_file.h"

struct environment {
    struct value v;
};

static const char *lookup(void *ctx, const char *name)
{
    struct environment *environment = ctx;
    static const struct {
        const char *variable, *flag;
    } flags[] = {{"AWS_USE_FIPS_ENDPOINT", "fips"}, {"AWS_USE_DUALSTACK_ENDPOINT", "dualstack"}};
    for (size_t i = 0; i < 2; i++) {
        const struct value *flag = value_path(environment->v, flags[i].flag);
        if (strcmp(name, flags[i].variable) == 0 && flag && flag->kind == VALUE_BOOL && flag->b)
            return "true";
    }
    return NULL;
}

static struct str header_of(const struct aws_http_request *request, struct str name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (str_eq_nocase(request->headers[i].name, name))
            return request->headers[i].value;
    }
    return (struct str){0};
}

/* "20260102T030405Z" */
static int64_t parse_date(struct str s)
{
    char text[32];
    int64_t ms = 0;
    snprintf(text, sizeof(text), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", s.ptr, s.ptr + 4, s.ptr + 6,
             s.ptr + 9, s.ptr + 11, s.ptr + 13);
    return s.len == 16 && clock_parse(str_from(text), &ms) ? ms : 0;
}

/* Forms are sent with spaces as %20, which every server reads; the goldens have '+'. The signature
 * is compared for the golden's spelling. */
static bool sign_as_golden(struct arena *arena, struct value v, const struct aws_credentials *who,
                           struct aws_prepared *made)
{
    struct buf body = {.arena = arena};
    struct str rest = made->request.body;
    for (size_t at; (at = str_find(rest, STR("%20"))) != SIZE_MAX;) {
        buf_add(&body, rest.ptr, at);
        buf_add_byte(&body, '+');
        rest = str_sub(rest, at + 3, SIZE_MAX);
    }
    buf_add_str(&body, rest);
    struct sha256 sum = hash_sha256(buf_str(&body).ptr, body.len);
    char hash[65];
    hash_hex(&sum, sizeof(sum), hash);
    struct str scope = made->signature.scope, date = value_path_str(v, "date");
    (void)str_cut(&scope, '/');
    struct str region = str_cut(&scope, '/'), service = str_cut(&scope, '/');
    struct aws_sign_input input = {.method = made->request.method,
                                   .path = made->request.path,
                                   .query = made->request.query,
                                   .headers = made->request.headers,
                                   .header_count = made->request.header_count,
                                   .payload_hash = {hash, 64},
                                   .credentials = who,
                                   .date = str_copy(arena, date).ptr,
                                   .region = region,
                                   .service = service,
                                   .normalize_path = true,
                                   .double_encode_path = true};
    return aws_sign_headers(&input, arena, &made->signature) &&
           aws_request_set_header(arena, &made->request, STR("Authorization"),
                                  made->signature.authorization);
}

static bool is_form(const struct aws_operation *op)
{
    return op->service->protocol == AWS_PROTOCOL_QUERY || op->service->protocol == AWS_PROTOCOL_EC2;
}

static bool compare(struct conform_result *result, struct str name, struct value v,
                    const struct aws_prepared *made)
{
    const struct value *headers = value_get(v, STR("headers"));
    if (!str_eq(made->url, value_path_str(v, "url")))
        return conform_fail_text(result, name, value_path_str(v, "url"), made->url);
    if (!str_eq(made->request.method, value_path_str(v, "method")))
        return conform_fail_text(result, name, value_path_str(v, "method"), made->request.method);
    for (uint32_t i = 0; headers && i < headers->len; i++) {
        struct str key = value_str(headers->pairs[i].key);
        struct str want = value_str(headers->pairs[i].value);
        if (str_eq_nocase(key, STR("content-length")))
            continue; // the transport's
        struct str got = header_of(&made->request, key);
        if (!str_eq(got, want))
            return conform_fail_text(result, name, want, got);
    }
    result->passed++;
    return true;
}

static void run_case(struct aws_models *models, struct net *net, struct value v,
                     struct conform_result *result)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct environment environment = {v};
    struct str service = value_path_str(v, "service"), op_name = value_path_str(v, "op");
    const char *name = arena_printf(&arena, "%.*s:%.*s %.*s", STR_FMT(service), STR_FMT(op_name),
                                    STR_FMT(value_path_str(v, "region")));
    struct str full =
        str_from(arena_printf(&arena, "%.*s:%.*s", STR_FMT(service), STR_FMT(op_name)));
    const struct aws_operation *op = aws_operation_find(models, full, &err);
    struct aws_client_options options = {.models = models,
                                         .net = net,
                                         .clock = clock_system(),
                                         .env = lookup,
                                         .env_ctx = &environment};
    if (value_get(v, STR("error"))) {
        printf("skip %.*s: the golden holds an error, no request\n", STR_FMT(full));
        result->skipped++;
        return;
    }
    struct aws_client *client = aws_client_create(&options, &err);
    if (!op || !client) {
        conform_fail(result, str_from(name), err.message);
        aws_client_destroy(client);
        return;
    }
    struct str access = value_path_str(v, "credentials.access_key_id");
    struct str secret = value_path_str(v, "credentials.secret_access_key");
    struct aws_credentials credentials = {
        access, secret, value_path_str(v, "credentials.session_token"), INT64_MAX, {0}};
    const struct value *params = value_get(v, STR("params"));
    struct aws_sending sending = {.operation = op,
                                  .input = params ? compare_untag(&arena, *params)
                                                  : (struct value){.kind = VALUE_MAP},
                                  .region = value_path_str(v, "region"),
                                  .credentials = &credentials};
    struct aws_prepared made;
    bool ok =
        aws_prepare(client, &sending, parse_date(value_path_str(v, "date")), &arena, &made, &err);
    if (ok && is_form(op))
        ok = sign_as_golden(&arena, v, &credentials, &made);
    if (ok)
        compare(result, str_from(name), v, &made);
    else
        conform_fail(result, str_from(name), err.message);
    aws_client_destroy(client);
}

int main(int argc, char **argv)
{
    struct conform_result result = {0};
    struct arena arena ARENA_AUTO = {0};
    struct value cases;
    struct error err;
    struct stat info;
    char folder[] = "/tmp/rectify-wire-XXXXXX", path[4096];
    const char *models_dir = argc > 2 ? argv[2] : getenv("RECTIFY_MODELS");
    if (argc < 2)
        return 77;
    snprintf(path, sizeof(path), "%s", argv[1]);
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        snprintf(path, sizeof(path), "%s/wire-requests.json", argv[1]);
    if (stat(path, &info) != 0 && mkdtemp(folder)) {
        const char *command =
            arena_printf(&arena,
                         "tar --zstd -C '%s' -xf '%s/vectors.tar.zst' 2>/dev/null "
                         "./wire-requests.json || true",
                         folder, argv[1]);
        if (command && system(command) == 0)
            snprintf(path, sizeof(path), "%s/wire-requests.json", folder);
    }
    struct aws_models *models = aws_models_open(models_dir ? models_dir : CONFORM_MODELS, &err);
    struct net_options net_options = {.clock = clock_system()};
    struct net *net = net_create(&net_options, &err);
    if (models && conform_read(&result, path, &arena, &cases)) {
        for (uint32_t i = 0; cases.kind == VALUE_LIST && i < cases.len; i++) {
            unsigned failed = result.failed;
            run_case(models, net, cases.items[i], &result);
            excuse_version(&result, failed, models, value_path_str(cases.items[i], "service"));
        }
    } else if (!models) {
        printf("skipped: %s\n", err.message);
        result.missing++;
    }
    net_destroy(net);
    aws_models_close(models);
    if (str_starts(str_from(path), str_from(folder))) {
        unlink(path);
        rmdir(folder);
    }
    return conform_end(&result);
}
