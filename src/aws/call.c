// SPDX-License-Identifier: Apache-2.0
/* One attempt of one call: input to request, endpoint, credentials, signature, wire, answer, outcome.
 *
 * Credentials are those of the environment (AWS_ACCESS_KEY_ID and so on); a role or another source is
 * refused with a clear answer. A call for an account leaves only with credentials of that account,
 * which STS is asked for once. */
#include "aws/aws_internal.h"

#include "aws/endpoint.h"
#include "aws/sign.h"
#include "base/hash.h"
#include "base/limits.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define CALL_DEADLINE_MS 30000
#define IN_FLIGHT_DEFAULT 64
#define SKEW_MIN_MS 240000 // a server's clock further off than this is believed

struct aws_client {
    struct aws_models *models;
    struct net *net;
    const struct clock *clock;
    const char *(*env)(void *ctx, const char *name);
    void *env_ctx;
    struct arena arena;
    struct str region, endpoint;
    struct aws_credentials credentials;
    struct aws_key_cache *keys;
    sem_t in_flight;
    _Atomic int64_t clock_offset_ms;
    pthread_mutex_t identity_lock;
    char account[16]; // that the credentials belong to, "" = not asked yet
};

static const char *system_env(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

static struct str env_text(struct aws_client *c, const char *name)
{
    const char *text = c->env(c->env_ctx, name);
    return text ? str_copy(&c->arena, str_from(text)) : (struct str){0};
}

struct aws_client *aws_client_create(const struct aws_client_options *options, struct error *err)
{
    struct aws_client *c = calloc(1, sizeof *c);
    if (!c) {
        error_set(err, "A0399", "out of memory");
        return NULL;
    }
    c->models = options->models;
    c->net = options->net;
    c->clock = options->clock;
    c->env = options->env ? options->env : system_env;
    c->env_ctx = options->env_ctx;
    c->region = env_text(c, "AWS_REGION");
    if (c->region.len == 0)
        c->region = env_text(c, "AWS_DEFAULT_REGION");
    c->endpoint = env_text(c, "AWS_ENDPOINT_URL");
    c->credentials = (struct aws_credentials){.access_key = env_text(c, "AWS_ACCESS_KEY_ID"),
                                              .secret_key = env_text(c, "AWS_SECRET_ACCESS_KEY"),
                                              .token = env_text(c, "AWS_SESSION_TOKEN"),
                                              .expires_ms = INT64_MAX};
    c->keys = aws_key_cache_create();
    pthread_mutex_init(&c->identity_lock, NULL);
    sem_init(&c->in_flight, 0, (unsigned)(options->in_flight_max ? options->in_flight_max : IN_FLIGHT_DEFAULT));
    return c;
}

void aws_client_destroy(struct aws_client *c)
{
    if (!c)
        return;
    aws_key_cache_destroy(c->keys);
    hash_wipe((void *)(uintptr_t)c->credentials.secret_key.ptr, c->credentials.secret_key.len);
    hash_wipe((void *)(uintptr_t)c->credentials.token.ptr, c->credentials.token.len);
    arena_finish(&c->arena);
    pthread_mutex_destroy(&c->identity_lock);
    sem_destroy(&c->in_flight);
    free(c);
}

struct str aws_client_region(const struct aws_client *c)
{
    return c->region;
}

static void not_sent(struct aws_answer *ret, const char *code, struct arena *arena, const char *message)
{
    *ret = (struct aws_answer){.outcome = AWS_NOT_SENT, .code = str_from(code),
                               .message = str_copy(arena, str_from(message))};
}

/* ---- where a call goes ---- */

struct target {
    struct str scheme_host; // "http://127.0.0.1:5000", no slash at its end
    struct str prefix;      // path in front of the request's
    struct str region, service; // of the signature
    bool drop_bucket;           // the endpoint already holds it
};

/* AWS_ENDPOINT_URL_<SERVICE ID> before AWS_ENDPOINT_URL. */
static struct str custom_endpoint(struct aws_client *c, const struct aws_service *service, struct arena *arena)
{
    char name[128] = "AWS_ENDPOINT_URL_";
    size_t used = strlen(name);
    for (size_t i = 0; i < service->service_id.len && used + 1 < sizeof name; i++) {
        char ch = service->service_id.ptr[i];
        name[used++] = ch == ' ' || ch == '-' ? '_' : ch >= 'a' && ch <= 'z' ? (char)(ch - 32) : ch;
    }
    name[used] = '\0';
    const char *own = c->env(c->env_ctx, name);
    return own && own[0] ? str_copy(arena, str_from(own)) : c->endpoint;
}

static void split_url(struct str url, struct target *ret)
{
    size_t scheme = str_find(url, STR("://"));
    size_t start = scheme == SIZE_MAX ? 0 : scheme + 3;
    size_t slash = str_find_byte(str_sub(url, start, SIZE_MAX), '/');
    ret->scheme_host = slash == SIZE_MAX ? url : str_sub(url, 0, start + slash);
    ret->prefix = slash == SIZE_MAX ? (struct str){0} : str_sub(url, start + slash, SIZE_MAX);
    while (str_ends(ret->prefix, STR("/")))
        ret->prefix.len--;
}

static bool find_target(struct aws_client *c, const struct aws_call *call, struct str region,
                        const struct aws_http_request *request, struct arena *arena, struct target *ret,
                        struct error *err)
{
    const struct aws_service *service = call->operation->service;
    struct str custom = custom_endpoint(c, service, arena), bucket = value_path_str(call->input, "Bucket");
    *ret = (struct target){.region = region, .service = service->signing_name};
    if (custom.len) {
        split_url(custom, ret);
        return true;
    }
    struct value partitions, schemes;
    struct value_builder params = {.arena = arena};
    struct aws_endpoint endpoint;
    value_set(&params, "Region", value_string(region));
    if (request->bucket_len)
        value_set(&params, "Bucket", value_string(bucket));
    if (!aws_models_partitions(c->models, &partitions, err) ||
        !aws_endpoint_evaluate(service->endpoint_rules, partitions, value_finish_map(&params), arena, &endpoint, err))
        return false;
    split_url(endpoint.url, ret);
    ret->drop_bucket = request->bucket_len > 0;
    const struct value *list = value_get(endpoint.properties, STR("authSchemes"));
    schemes = list ? *list : value_null();
    struct str signing = value_path_str(schemes, "0.signingRegion"), name = value_path_str(schemes, "0.signingName");
    ret->region = signing.len ? signing : ret->region;
    ret->service = name.len ? name : ret->service;
    return true;
}

/* ---- the request on the wire ---- */

static bool is_s3(const struct aws_service *service)
{
    return str_is(service->signing_name, "s3") || str_is(service->signing_name, "s3-outposts") ||
           str_is(service->signing_name, "s3-object-lambda");
}

static bool add_checksum(const struct aws_operation *op, struct aws_http_request *request, struct arena *arena)
{
    if (!op->checksum_required)
        return true;
    unsigned long crc = crc32(0, (const unsigned char *)request->body.ptr, (unsigned)request->body.len);
    char bytes[4] = {(char)(crc >> 24), (char)(crc >> 16), (char)(crc >> 8), (char)crc};
    return aws_request_set_header(arena, request, STR("x-amz-sdk-checksum-algorithm"), STR("CRC32")) &&
           aws_request_set_header(arena, request, STR("x-amz-checksum-crc32"),
                                  hash_base64(arena, (struct str){bytes, 4}));
}

static bool sign(struct aws_client *c, const struct aws_operation *op, struct aws_http_request *request,
                 const struct target *target, struct arena *arena)
{
    char hash[65], date[AWS_SIGN_DATE_SIZE];
    struct sha256 digest = hash_sha256(request->body.ptr, request->body.len);
    struct aws_signature signature;
    bool s3 = is_s3(op->service), ok = true;
    struct str host = str_sub(target->scheme_host, str_find(target->scheme_host, STR("://")) + 3, SIZE_MAX);
    hash_hex(digest.bytes, sizeof digest.bytes, hash);
    aws_sign_date(clock_wall_ms(c->clock) + c->clock_offset_ms, date);
    struct str date_text = str_copy(arena, str_from(date)), hash_text = str_copy(arena, str_from(hash));
    ok = aws_request_set_header(arena, request, STR("Host"), host) &&
         aws_request_set_header(arena, request, STR("X-Amz-Date"), date_text);
    if (s3)
        ok = ok && aws_request_set_header(arena, request, STR("X-Amz-Content-SHA256"), hash_text);
    if (c->credentials.token.len)
        ok = ok && aws_request_set_header(arena, request, STR("X-Amz-Security-Token"), c->credentials.token);
    struct aws_sign_input input = {
        .method = request->method, .path = request->path, .query = request->query,
        .headers = request->headers, .header_count = request->header_count, .payload_hash = hash_text,
        .credentials = &c->credentials, .date = date_text.ptr, .region = target->region,
        .service = target->service, .normalize_path = !s3, .double_encode_path = !s3, .keys = c->keys};
    return ok && aws_sign_headers(&input, arena, &signature) &&
           aws_request_set_header(arena, request, STR("Authorization"), signature.authorization);
}

/* ---- outcomes ---- */

static bool code_in(struct str code, const char *const *codes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_is(code, codes[i]))
            return true;
    return false;
}

static const char *const throttling_codes[] = {
    "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException",
    "TooManyRequestsException", "ProvisionedThroughputExceededException", "TransactionInProgressException",
    "RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException", "RequestThrottled", "SlowDown",
    "PriorRequestNotComplete", "EC2ThrottledException"};
static const char *const skew_codes[] = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"};
static const char *const transient_codes[] = {"RequestTimeout", "RequestTimeoutException", "InternalError",
                                              "InternalFailure", "ServiceUnavailable"};
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* "Tue, 24 Nov 2026 08:39:27 GMT" (RFC 9110's IMF-fixdate). */
static bool parse_http_date(struct str text, int64_t *ret_ms)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char month[4] = "", copy[64];
    int day, year, hour, minute, second;
    snprintf(copy, sizeof copy, "%.*s", STR_FMT(text));
    if (sscanf(copy, "%*3s, %d %3s %d %d:%d:%d GMT", &day, month, &year, &hour, &minute, &second) != 6)
        return false;
    const char *at = strstr(months, month);
    if (!at || day < 1 || day > 31 || year < 1970)
        return false;
    int64_t days = clock_days(year, (unsigned)((at - months) / 3 + 1), (unsigned)day);
    *ret_ms = ((days * 24 + hour) * 60 + minute) * 60000 + second * 1000;
    return true;
}

static int64_t retry_after(const struct net_answer *answer)
{
    int64_t n;
    if (str_to_int64(net_answer_header(answer, STR("x-amz-retry-after")), &n) && n >= 0)
        return n;
    if (str_to_int64(net_answer_header(answer, STR("retry-after")), &n) && n >= 0 && n < 86400)
        return n * 1000;
    return 0;
}

static void take_error(struct aws_client *c, const struct aws_operation *op, const struct aws_http_answer *http,
                       const struct net_answer *wire, struct arena *arena, struct aws_answer *ret)
{
    struct aws_service_error error;
    int64_t server_ms;
    aws_parse_error(op, http, arena, &error);
    ret->code = error.code;
    ret->message = error.message;
    ret->request_id = error.request_id.len ? error.request_id : ret->request_id;
    ret->retry_after_ms = retry_after(wire);
    ret->outcome = AWS_REFUSED;
    if (error.throttling || http->status == 429 || code_in(error.code, throttling_codes, COUNT(throttling_codes)))
        ret->outcome = AWS_THROTTLED;
    else if (http->status >= 500 || error.retryable || code_in(error.code, transient_codes, COUNT(transient_codes)))
        ret->outcome = AWS_FAILED;
    if (code_in(error.code, skew_codes, COUNT(skew_codes)) &&
        parse_http_date(net_answer_header(wire, STR("date")), &server_ms)) {
        int64_t offset = server_ms - clock_wall_ms(c->clock);
        if (offset > SKEW_MIN_MS || offset < -SKEW_MIN_MS) {
            c->clock_offset_ms = offset;
            ret->clock_skewed = true;
            ret->outcome = AWS_THROTTLED; // nothing was done; the next attempt is signed in its time
        }
    }
}

static void take_answer(struct aws_client *c, const struct aws_operation *op, const struct net_answer *wire,
                        struct arena *arena, struct aws_answer *ret)
{
    struct aws_http_answer http = {wire->status, wire->headers, wire->header_count, wire->body};
    struct error err;
    *ret = (struct aws_answer){.http_status = wire->status, .request_id = aws_answer_request_id(&http)};
    if (!aws_answer_is_ok(op, &http)) {
        take_error(c, op, &http, wire, arena, ret);
    } else if (aws_parse_answer(op, &http, arena, &ret->output, &err)) {
        ret->outcome = AWS_OK;
    } else {
        ret->outcome = AWS_FAILED;
        ret->code = str_from(err.code);
        ret->message = str_copy(arena, str_from(err.message));
    }
}

static void take_failure(const struct net_answer *wire, struct arena *arena, struct aws_answer *ret)
{
    static const struct {
        enum aws_outcome outcome;
        const char *code;
    } table[] = {[NET_NOT_SENT] = {AWS_NOT_SENT, "A0301"}, [NET_GATED] = {AWS_NOT_SENT, "A0302"},
                 [NET_UNKNOWN] = {AWS_UNKNOWN, "A0303"},   [NET_TOO_LARGE] = {AWS_FAILED, "A0304"},
                 [NET_CANCELLED] = {AWS_UNKNOWN, "A0305"}};
    *ret = (struct aws_answer){.outcome = table[wire->outcome].outcome,
                               .code = str_from(table[wire->outcome].code),
                               .message = str_copy(arena, str_from(wire->reason)),
                               .gate_closed = wire->outcome == NET_GATED};
}

static void send_signed(struct aws_client *c, const struct aws_call *call, const struct target *target,
                        const struct aws_http_request *http, struct arena *arena, struct aws_answer *ret)
{
    struct buf url = {.arena = arena};
    buf_add_str(&url, target->scheme_host);
    buf_add_str(&url, http->path.len ? http->path : STR("/"));
    if (http->query.len) {
        buf_add_byte(&url, '?');
        buf_add_str(&url, http->query);
    }
    int64_t deadline = call->deadline_ms ? call->deadline_ms : clock_steady_ms(c->clock) + CALL_DEADLINE_MS;
    struct net_request request = {.method = http->method, .url = buf_str(&url), .headers = http->headers,
                                  .header_count = http->header_count, .body = http->body,
                                  .deadline_ms = deadline, .gate = call->gate, .gate_ctx = call->gate_ctx};
    struct net_answer wire;
    while (sem_wait(&c->in_flight) != 0) {
    }
    net_request(c->net, &request, arena, &wire);
    sem_post(&c->in_flight);
    if (wire.outcome == NET_ANSWERED)
        take_answer(c, call->operation, &wire, arena, ret);
    else
        take_failure(&wire, arena, ret);
}

/* ---- the right account or nothing ---- */

/* Asks STS once whose the credentials are. False: `ret` says why nothing may leave. */
static bool know_account(struct aws_client *c, const struct aws_call *call, struct arena *arena, struct aws_answer *ret)
{
    struct error err;
    bool ok = true;
    pthread_mutex_lock(&c->identity_lock);
    if (!c->account[0]) {
        struct aws_call ask = {.region = call->region, .deadline_ms = call->deadline_ms};
        struct aws_answer answer;
        ask.operation = aws_operation_find(c->models, STR("sts:GetCallerIdentity"), &err);
        if (ask.operation) {
            aws_call(c, &ask, arena, &answer);
            struct str account = value_path_str(answer.output, "Account");
            if (answer.outcome == AWS_OK && account.len == 12)
                snprintf(c->account, sizeof c->account, "%.*s", STR_FMT(account));
            else
                *ret = answer;
        } else {
            not_sent(ret, err.code, arena, err.message);
        }
        ok = c->account[0] != '\0';
        if (!ok && ret->outcome != AWS_THROTTLED) {
            const char *why = arena_printf(arena, "whose the credentials are cannot be established: %.*s %.*s",
                                           STR_FMT(ret->code), STR_FMT(ret->message));
            not_sent(ret, "A0306", arena, why ? why : "out of memory");
        }
    }
    if (ok && !str_is(call->account, c->account)) {
        const char *why = arena_printf(arena, "the credentials belong to account %s, the resource to %.*s", c->account,
                                       STR_FMT(call->account));
        not_sent(ret, "A0307", arena, why ? why : "out of memory");
        ok = false;
    }
    pthread_mutex_unlock(&c->identity_lock);
    return ok;
}

void aws_call(struct aws_client *c, const struct aws_call *call, struct arena *arena, struct aws_answer *ret)
{
    struct aws_http_request http;
    struct target target;
    struct error err;
    const struct aws_operation *op = call->operation;
    struct str region = call->region.len ? call->region : c->region;
    *ret = (struct aws_answer){0};
    if (region.len == 0 || str_is(region, "global"))
        region = c->region.len ? c->region : STR("us-east-1");
    if (call->role.len) {
        not_sent(ret, "A0308", arena, "roles cannot be assumed by this build; leave `roles` out");
        return;
    }
    if (op->auth != AWS_AUTH_NONE && c->credentials.access_key.len == 0) {
        not_sent(ret, "A0309", arena, "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
        return;
    }
    if (call->account.len && !know_account(c, call, arena, ret))
        return;
    if (!aws_serialize(op, call->input, arena, &http, &err) ||
        !find_target(c, call, region, &http, arena, &target, &err)) {
        not_sent(ret, err.code, arena, err.message);
        return;
    }
    if (target.drop_bucket)
        http.path = str_sub(http.path, http.bucket_len, SIZE_MAX);
    if (target.prefix.len)
        http.path = str_from(arena_printf(arena, "%.*s%.*s", STR_FMT(target.prefix), STR_FMT(http.path)));
    if (http.path.len == 0)
        http.path = STR("/");
    if (!add_checksum(op, &http, arena) || (op->auth != AWS_AUTH_NONE && !sign(c, op, &http, &target, arena))) {
        not_sent(ret, "A0399", arena, "out of memory");
        return;
    }
    send_signed(c, call, &target, &http, arena, ret);
}

static void call_through(void *ctx, const struct aws_call *call, struct arena *arena, struct aws_answer *ret)
{
    aws_call(ctx, call, arena, ret);
}

struct aws_caller aws_client_caller(struct aws_client *client)
{
    return (struct aws_caller){call_through, client};
}
