// SPDX-License-Identifier: Apache-2.0
/* One request to a service: serialise, find the endpoint, add checksum and signature, send, and say
 * what became of it. Does not choose credentials and does not try again. Any thread. */
#include <openssl/evp.h>
#include <stdio.h>
#include <zlib.h>

#include "aws/client_internal.h"
#include "base/hash.h"

#define QUOTA_TRIES 3 // a LimitExceededException that comes so often is a quota, not throttling
#define TRACE_BYTES_MAX 512u

/* ---- checksums ---- */

static struct str base64_digest(struct arena *arena, const EVP_MD *md, struct str body)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(body.ptr ? body.ptr : "", body.len, digest, &size, md, NULL) != 1)
        return (struct str){0};
    return hash_base64(arena, (struct str){(char *)digest, size});
}

static struct str base64_u32(struct arena *arena, uint32_t sum)
{
    unsigned char bytes[4] = {(unsigned char)(sum >> 24), (unsigned char)(sum >> 16),
                              (unsigned char)(sum >> 8), (unsigned char)sum};
    return hash_base64(arena, (struct str){(char *)bytes, 4});
}

static struct str checksum_crc32(struct arena *arena, struct str body)
{
    const Bytef *data = (const Bytef *)(body.ptr ? body.ptr : "");
    return base64_u32(arena, (uint32_t)crc32_z(crc32_z(0, NULL, 0), data, body.len));
}

static struct str checksum_crc32c(struct arena *arena, struct str body)
{
    uint32_t sum = 0xFFFFFFFFu;
    for (size_t i = 0; i < body.len; i++) {
        sum ^= (unsigned char)body.ptr[i];
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum & 1 ? 0x82F63B78u : 0);
    }
    return base64_u32(arena, ~sum);
}

static struct str checksum_sha1(struct arena *arena, struct str body)
{
    return base64_digest(arena, EVP_sha1(), body);
}

static struct str checksum_sha256(struct arena *arena, struct str body)
{
    return base64_digest(arena, EVP_sha256(), body);
}

static const struct {
    const char *name, *header;
    struct str (*make)(struct arena *arena, struct str body);
} checksums[] = {
    {"CRC32", "x-amz-checksum-crc32", checksum_crc32},
    {"CRC32C", "x-amz-checksum-crc32c", checksum_crc32c},
    {"SHA1", "x-amz-checksum-sha1", checksum_sha1},
    {"SHA256", "x-amz-checksum-sha256", checksum_sha256},
};

static bool has_header(const struct aws_http_request *request, struct str prefix)
{
    for (size_t i = 0; i < request->header_count; i++) {
        struct str name = request->headers[i].name;
        if (name.len >= prefix.len && str_eq_nocase(str_sub(name, 0, prefix.len), prefix))
            return true;
    }
    return false;
}

/* The wire name of the member that carries the algorithm. */
static struct str algorithm_header(const struct aws_operation *op)
{
    const struct aws_ref *ref = op->checksum_member.len && op->input
                                    ? aws_shape_find(op->input->shape, op->checksum_member)
                                    : NULL;
    return ref && ref->wire.ptr ? ref->wire : (struct str){0};
}

static bool add_md5(struct aws_http_request *request, struct arena *arena)
{
    struct str sum = base64_digest(arena, EVP_md5(), request->body);
    return sum.ptr && aws_request_set_header(arena, request, STR("Content-MD5"), sum);
}

static bool add_checksum(struct aws_client *client, const struct aws_operation *op,
                         struct value input, struct arena *arena, struct aws_http_request *request,
                         struct error *err)
{
    const struct value *chosen =
        op->checksum_member.len ? value_get(input, op->checksum_member) : NULL;
    struct str algorithm = chosen ? value_str(*chosen) : (struct str){0};
    /* Where it is possible it is sent, as the SDKs do; streams are left without. */
    bool wanted = op->checksum_required || algorithm.len ||
                  (op->checksum_member.len && request->body.len && !request->body_is_stream);
    if (!wanted || has_header(request, STR("x-amz-checksum-crc")) ||
        has_header(request, STR("x-amz-checksum-sha")) || has_header(request, STR("content-md5")))
        return true;
    if (!algorithm.len && client->checksum_md5)
        return add_md5(request, arena) || error_set(err, "A0314", "out of memory");
    bool defaulted = algorithm.len == 0;
    if (defaulted)
        algorithm = STR("CRC32");
    for (size_t i = 0; i < sizeof(checksums) / sizeof(checksums[0]); i++) {
        if (!str_is(algorithm, checksums[i].name))
            continue;
        struct str sum = checksums[i].make(arena, request->body);
        struct str name = algorithm_header(op);
        bool ok =
            sum.ptr && aws_request_set_header(arena, request, str_from(checksums[i].header), sum);
        if (defaulted && name.len)
            ok = ok && aws_request_set_header(arena, request, name, algorithm);
        return ok || error_set(err, "A0314", "out of memory");
    }
    return error_set(err, "A0314",
                     "the checksum %.*s is not supported; CRC32, CRC32C, SHA1 and "
                     "SHA256 are",
                     STR_FMT(algorithm));
}

/* Reads of objects ask for the checksum that was stored. */
static bool add_checksum_mode(const struct aws_operation *op, struct value input,
                              struct arena *arena, struct aws_http_request *request)
{
    struct str member = value_path_str(op->model, "httpChecksum.requestValidationModeMember");
    const struct aws_ref *ref =
        member.len && op->input ? aws_shape_find(op->input->shape, member) : NULL;
    if (!ref || !ref->wire.ptr || value_get(input, member))
        return true;
    return aws_request_set_header(arena, request, ref->wire, STR("ENABLED"));
}

/* ---- endpoint and signature ---- */

static bool is_s3_style(const struct aws_service *service)
{
    return str_starts(value_path_str(service->metadata, "signatureVersion"), STR("s3"));
}

static bool host_takes_prefix(const struct aws_client *client, struct str host)
{
    struct str name = str_sub(host, 0, str_find_byte(host, ':'));
    char last = name.len ? name.ptr[name.len - 1] : '\0';
    bool address = (last >= '0' && last <= '9') || (host.len && host.ptr[0] == '[');
    return !client->no_host_prefix && !address && !str_is(name, "localhost");
}

static bool set_rule_headers(struct arena *arena, struct aws_http_request *request,
                             struct value headers)
{
    for (uint32_t i = 0; headers.kind == VALUE_MAP && i < headers.len; i++) {
        struct str text = value_path_str(headers.pairs[i].value, "0");
        if (!aws_request_set_header(arena, request, value_str(headers.pairs[i].key), text))
            return false;
    }
    return true;
}

static bool place(struct aws_client *client, const struct aws_resolved *endpoint,
                  struct arena *arena, struct aws_prepared *made)
{
    struct aws_http_request *request = &made->request;
    struct str rest = str_sub(request->path, request->bucket_len, SIZE_MAX);
    struct str prefix =
        host_takes_prefix(client, endpoint->host) ? request->host_prefix : (struct str){0};
    /* The rules have put the bucket into the path: "/bucket" without a slash behind it. */
    if (str_is(rest, "/") && endpoint->path.len && request->bucket_len)
        rest.len = 0;
    bool root = rest.len == 0 && endpoint->path.len == 0;
    struct str path = STR_JOIN(arena, endpoint->path, rest, root ? STR("/") : STR(""));
    struct str host = STR_JOIN(arena, prefix, endpoint->host);
    made->url = STR_JOIN(arena, endpoint->scheme, STR("://"), host, path,
                         request->query.len ? STR("?") : STR(""), request->query);
    request->path = path;
    return path.ptr && host.ptr && made->url.ptr &&
           set_rule_headers(arena, request, endpoint->headers) &&
           aws_request_set_header(arena, request, STR("Host"), host);
}

/* Under Lambda, where a call comes from: an account's loops are found by it. Never signed. */
static bool add_trace(const struct aws_client *client, struct arena *arena,
                      struct aws_http_request *request)
{
    struct str trace = aws_world_env(&client->world, "_X_AMZN_TRACE_ID");
    bool plain = trace.len > 0 && trace.len <= TRACE_BYTES_MAX;
    for (size_t i = 0; plain && i < trace.len; i++)
        plain = trace.ptr[i] > ' ' && trace.ptr[i] < 127;
    if (!plain || !aws_world_env(&client->world, "AWS_LAMBDA_FUNCTION_NAME").len)
        return true;
    trace = str_copy(arena, trace); // the next invocation has another
    return trace.ptr && aws_request_set_header(arena, request, STR("X-Amzn-Trace-Id"), trace);
}

static bool sign(struct aws_client *client, const struct aws_sending *sending,
                 const struct aws_resolved *endpoint, int64_t wall_ms, struct arena *arena,
                 struct aws_prepared *made)
{
    const struct aws_service *service = sending->operation->service;
    struct aws_http_request *request = &made->request;
    const struct aws_credentials *credentials = sending->credentials;
    bool s3 = is_s3_style(service), https = str_is(endpoint->scheme, "https");
    bool unsigned_body = sending->operation->auth == AWS_AUTH_SIGV4_UNSIGNED_BODY && https;
    char *date = arena_alloc_raw(arena, AWS_SIGN_DATE_SIZE, 1);
    char *hash = arena_alloc_raw(arena, 65, 1);
    if (!date || !hash)
        return false;
    aws_sign_date(wall_ms, date);
    if (unsigned_body) {
        memcpy(hash, AWS_UNSIGNED_PAYLOAD, sizeof(AWS_UNSIGNED_PAYLOAD));
    } else if (request->body.len == 0) {
        memcpy(hash, AWS_SHA256_EMPTY, sizeof(AWS_SHA256_EMPTY));
    } else {
        struct sha256 sum = hash_sha256(request->body.ptr, request->body.len);
        hash_hex(&sum, sizeof(sum), hash);
    }
    bool ok = aws_request_set_header(arena, request, STR("X-Amz-Date"), str_from(date));
    if (credentials->token.len)
        ok = ok && aws_request_set_header(arena, request, STR("X-Amz-Security-Token"),
                                          credentials->token);
    if (s3 || unsigned_body)
        ok = ok &&
             aws_request_set_header(arena, request, STR("X-Amz-Content-SHA256"), str_from(hash));
    struct aws_sign_input input = {.method = request->method,
                                   .path = request->path,
                                   .query = request->query,
                                   .headers = request->headers,
                                   .header_count = request->header_count,
                                   .payload_hash = str_from(hash),
                                   .credentials = credentials,
                                   .date = date,
                                   .region = endpoint->signing_region,
                                   .service = endpoint->signing_name,
                                   .normalize_path = !s3,
                                   .double_encode_path = endpoint->double_encode && !s3,
                                   .keys = client->keys};
    return ok && aws_sign_headers(&input, arena, &made->signature) &&
           aws_request_set_header(arena, request, STR("Authorization"),
                                  made->signature.authorization);
}

static bool check_sendable(const struct aws_operation *op, const struct aws_resolved *endpoint,
                           bool has_credentials, struct error *err)
{
    if (str_is(value_path_str(op->service->metadata, "signatureVersion"), "v2"))
        return error_set(err, "A0312", "%.*s wants signature version 2, which is not supported",
                         STR_FMT(op->service->name));
    if (op->auth == AWS_AUTH_BEARER)
        return error_set(err, "A0312", "%.*s wants a bearer token, which is not supported",
                         STR_FMT(op->service->name));
    if (op->auth != AWS_AUTH_NONE && endpoint->unsupported_auth)
        return error_set(err, "A0312",
                         "the endpoint %.*s wants a signature that is not supported (sigv4a or "
                         "S3 Express)",
                         STR_FMT(endpoint->host));
    if (op->auth != AWS_AUTH_NONE && !endpoint->no_auth && has_credentials &&
        !endpoint->signing_region.len)
        return error_set(err, "A0313", "no region is configured");
    return true;
}

/* What an input holds may be anything; HTTP's names may not, and a line break would begin another
 * header (RFC 9110). */
bool aws_request_check(const struct aws_operation *op, const struct aws_http_request *request,
                       struct error *err)
{
    for (size_t i = 0; i < request->header_count; i++) {
        struct str name = request->headers[i].name, value = request->headers[i].value;
        for (size_t k = 0; k < value.len; k++) {
            if (value.ptr[k] == '\r' || value.ptr[k] == '\n' || value.ptr[k] == '\0')
                return error_set(err, "A0155", "%.*s:%.*s: %.*s may not hold line breaks",
                                 STR_FMT(op->service->name), STR_FMT(op->name), STR_FMT(name));
        }
        bool ok = name.len > 0;
        for (size_t k = 0; ok && k < name.len; k++) {
            unsigned char c = (unsigned char)name.ptr[k];
            ok = c > ' ' && c < 127 && !strchr("()<>@,;:\\\"/[]?={}", c);
        }
        if (!ok)
            return error_set(err, "A0155", "%.*s:%.*s: `%.*s` cannot be the name of a header",
                             STR_FMT(op->service->name), STR_FMT(op->name), STR_FMT(name));
    }
    return true;
}

bool aws_prepare(struct aws_client *client, const struct aws_sending *sending, int64_t wall_ms,
                 struct arena *arena, struct aws_prepared *ret, struct error *err)
{
    const struct aws_operation *op = sending->operation;
    struct aws_resolved endpoint;
    struct aws_prepared made = {0};
    struct value input;
    if (!aws_copy_input(client, sending, wall_ms, arena, &input, err) ||
        !aws_serialize(op, input, arena, &made.request, err) ||
        !aws_request_check(op, &made.request, err) ||
        !aws_client_endpoint(client, op, input, sending->region, arena, &endpoint, err))
        return false;
    if (sending->host.len)
        endpoint.host = sending->host;
    if (!check_sendable(op, &endpoint, sending->credentials != NULL, err)) {
        error_hint(err, "set AWS_REGION or `region` in the profile");
        return false;
    }
    bool signs = sending->credentials && op->auth != AWS_AUTH_NONE && !endpoint.no_auth;
    if (!add_checksum(client, op, input, arena, &made.request, err))
        return false;
    if (!add_checksum_mode(op, input, arena, &made.request) ||
        !place(client, &endpoint, arena, &made) || !add_trace(client, arena, &made.request) ||
        (signs && !sign(client, sending, &endpoint, wall_ms, arena, &made)))
        return error_set(err, "A0314", "out of memory");
    *ret = made;
    return true;
}

/* ---- presigned ---- */

/* A form's body can stand in the query; any other body cannot. */
static bool move_body(struct arena *arena, const struct aws_operation *op,
                      struct aws_http_request *request, struct error *err)
{
    enum aws_protocol protocol = op->service->protocol;
    if (request->body.len == 0)
        return true;
    if (protocol != AWS_PROTOCOL_QUERY && protocol != AWS_PROTOCOL_EC2)
        return error_set(err, "A0315", "%.*s:%.*s has a body: it cannot be presigned",
                         STR_FMT(op->service->name), STR_FMT(op->name));
    request->query = request->query.len ? STR_JOIN(arena, request->query, STR("&"), request->body)
                                        : request->body;
    request->body = (struct str){0};
    request->method = STR("GET");
    request->header_count = 0;
    return request->query.ptr || error_set(err, "A0314", "out of memory");
}

static bool sign_presigned(struct aws_client *client, const struct aws_sending *sending,
                           const struct aws_resolved *endpoint, const struct aws_presigning *how,
                           struct arena *arena, struct aws_prepared *made)
{
    bool s3 = is_s3_style(sending->operation->service);
    char date[AWS_SIGN_DATE_SIZE];
    aws_sign_date(how->wall_ms, date);
    struct aws_sign_input input = {.method = made->request.method,
                                   .path = made->request.path,
                                   .query = made->request.query,
                                   .headers = made->request.headers,
                                   .header_count = made->request.header_count,
                                   .payload_hash =
                                       s3 ? STR(AWS_UNSIGNED_PAYLOAD) : STR(AWS_SHA256_EMPTY),
                                   .credentials = sending->credentials,
                                   .date = date,
                                   .region = endpoint->signing_region,
                                   .service = endpoint->signing_name,
                                   .normalize_path = !s3,
                                   .double_encode_path = endpoint->double_encode && !s3,
                                   .keys = client->keys};
    return aws_sign_query(&input, how->expires_s, false, arena, &made->signature);
}

bool aws_presign(struct aws_client *client, const struct aws_sending *sending,
                 const struct aws_presigning *how, struct arena *arena, struct str *ret,
                 struct error *err)
{
    const struct aws_operation *op = sending->operation;
    struct aws_resolved endpoint;
    struct aws_prepared made = {0};
    if (!aws_serialize(op, sending->input, arena, &made.request, err) ||
        !aws_client_endpoint(client, op, sending->input, sending->region, arena, &endpoint, err) ||
        !check_sendable(op, &endpoint, true, err) || !move_body(arena, op, &made.request, err))
        return false;
    if (how->extra.len)
        made.request.query = STR_JOIN(arena, made.request.query, STR("&"), how->extra);
    if (!place(client, &endpoint, arena, &made) ||
        !sign_presigned(client, sending, &endpoint, how, arena, &made))
        return error_set(err, "A0314", "out of memory");
    struct str before = made.url;
    *ret = STR_JOIN(arena, str_cut(&before, '?'), STR("?"), made.signature.query);
    return ret->ptr || error_set(err, "A0314", "out of memory");
}

/* ---- what became of it ---- */

void aws_answer_fail(struct aws_answer *ret, enum aws_outcome outcome, struct arena *arena,
                     const struct error *err)
{
    ret->outcome = outcome;
    ret->code = str_from(err->code);
    const char *text = err->hint[0] ? arena_printf(arena, "%s (%s)", err->message, err->hint)
                                    : arena_printf(arena, "%s", err->message);
    ret->message = str_from(text);
}

static void fail_sent(struct aws_answer *ret, enum aws_outcome outcome, const char *code,
                      struct arena *arena, struct str url, const char *reason)
{
    struct str rest = url;
    size_t scheme = str_find(rest, STR("://"));
    rest = str_sub(rest, scheme == SIZE_MAX ? 0 : scheme + 3, SIZE_MAX);
    struct str host = str_cut(&rest, '/');
    struct error err;
    error_set(&err, code, "%.*s: %s", STR_FMT(host), reason);
    aws_answer_fail(ret, outcome, arena, &err);
}

static bool is_one_of(struct str code, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_is(code, list[i]))
            return true;
    }
    return false;
}
#define IS_ONE_OF(code, list) is_one_of((code), (list), sizeof(list) / sizeof((list)[0]))

static bool is_throttling(struct str code)
{
    static const char *const codes[] = {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "RequestThrottled",
        "SlowDown",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
    };
    return IS_ONE_OF(code, codes);
}

static bool is_transient(struct str code)
{
    static const char *const codes[] = {"RequestTimeout", "RequestTimeoutException",
                                        "InternalError", "IDPCommunicationError"};
    return IS_ONE_OF(code, codes);
}

static bool is_skew(struct str code)
{
    static const char *const codes[] = {"RequestTimeTooSkewed",  "RequestExpired",
                                        "RequestInTheFuture",    "InvalidSignatureException",
                                        "SignatureDoesNotMatch", "AuthFailure"};
    return IS_ONE_OF(code, codes);
}

static bool is_expired(struct str code)
{
    static const char *const codes[] = {"ExpiredToken", "ExpiredTokenException",
                                        "TokenRefreshRequired"};
    return IS_ONE_OF(code, codes);
}

/* "Tue, 24 Nov 2026 10:00:00 GMT" to milliseconds; false on anything else. */
static bool parse_http_date(struct str text, int64_t *ret_ms)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char copy[40], name[4];
    int day, year, hour, minute, second;
    if (text.len >= sizeof(copy) || text.len < 20)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    char *comma = strchr(copy, ',');
    if (!comma || sscanf(comma + 1, " %d %3s %d %d:%d:%d GMT", &day, name, &year, &hour, &minute,
                         &second) != 6)
        return false;
    const char *found = strstr(months, name);
    if (!found || strlen(name) != 3 || day < 1 || day > 31 || year < 1970 || year > 9999)
        return false;
    unsigned month = (unsigned)(found - months) / 3 + 1;
    *ret_ms =
        (clock_days(year, month, (unsigned)day) * 86400 + hour * 3600 + minute * 60 + second) *
        1000;
    return true;
}

static int64_t retry_after(const struct net_answer *answer, int64_t wall_ms)
{
    int64_t value;
    if (str_to_int64(net_answer_header(answer, STR("x-amz-retry-after")), &value) && value >= 0)
        return value < 3600000 ? value : 3600000;
    struct str text = net_answer_header(answer, STR("retry-after"));
    if (str_to_int64(text, &value) && value >= 0)
        return value < 3600 ? value * 1000 : 3600000;
    if (parse_http_date(text, &value) && value > wall_ms)
        return value - wall_ms < 3600000 ? value - wall_ms : 3600000;
    return 0;
}

/* Was it refused because our clock is wrong? Then the offset is corrected. */
static bool correct_clock(struct aws_client *client, const struct net_answer *answer,
                          struct str code)
{
    int64_t theirs;
    if (!is_skew(code) || !parse_http_date(net_answer_header(answer, STR("date")), &theirs))
        return false;
    int64_t ours = clock_wall_ms(client->world.clock);
    int64_t used = ours + atomic_load(&client->clock_offset_ms);
    int64_t difference = theirs > used ? theirs - used : used - theirs;
    if (difference < AWS_SKEW_MS)
        return false;
    atomic_store(&client->clock_offset_ms, theirs - ours);
    return true;
}

static struct str bucket_region(const struct aws_operation *op, const struct net_answer *answer,
                                const struct aws_service_error *error)
{
    static const char *const codes[] = {"PermanentRedirect", "TemporaryRedirect",
                                        "AuthorizationHeaderMalformed",
                                        "IllegalLocationConstraintException"};
    bool status = answer->status == 301 || answer->status == 302 || answer->status == 307;
    if (!str_is(op->service->name, "s3") || (!status && !IS_ONE_OF(error->code, codes)))
        return (struct str){0};
    struct str region = net_answer_header(answer, STR("x-amz-bucket-region"));
    if (!region.len)
        region = value_path_str(error->members, "Region");
    return region;
}

static enum aws_outcome outcome_of(const struct aws_service_error *error, int status,
                                   unsigned attempt)
{
    if (error->throttling || status == 429)
        return AWS_THROTTLED;
    if (is_throttling(error->code))
        return str_is(error->code, "LimitExceededException") && attempt + 1 >= QUOTA_TRIES
                   ? AWS_REFUSED
                   : AWS_THROTTLED;
    if (error->retryable || status >= 500 || is_transient(error->code))
        return AWS_FAILED;
    return AWS_REFUSED;
}

static void read_error(struct aws_client *client, const struct aws_sending *sending,
                       const struct net_answer *answer, const struct aws_http_answer *http,
                       struct arena *arena, struct aws_answer *ret, struct aws_hint *hint)
{
    struct aws_service_error error;
    aws_parse_error(sending->operation, http, arena, &error);
    ret->code = error.code;
    ret->message = error.message;
    if (!ret->request_id.len)
        ret->request_id = error.request_id;
    ret->outcome = outcome_of(&error, answer->status, sending->attempt);
    ret->retry_after_ms = retry_after(answer, clock_wall_ms(client->world.clock));
    hint->bucket_region = bucket_region(sending->operation, answer, &error);
    hint->skewed = sending->credentials && correct_clock(client, answer, error.code);
    hint->expired = is_expired(error.code);
    hint->moved = sending->host.len &&
                  (answer->status == 421 || str_is(error.code, "InvalidEndpointException"));
    ret->clock_skewed = hint->skewed;
}

static void read_answer(struct aws_client *client, const struct aws_sending *sending,
                        const struct net_answer *answer, struct arena *arena,
                        struct aws_answer *ret, struct aws_hint *hint)
{
    struct aws_http_answer http = {answer->status, answer->headers, answer->header_count,
                                   answer->body};
    ret->http_status = answer->status;
    ret->request_id = aws_answer_request_id(&http);
    if (!aws_answer_is_ok(sending->operation, &http)) {
        read_error(client, sending, answer, &http, arena, ret, hint);
        return;
    }
    struct error err;
    if (aws_parse_answer(sending->operation, &http, arena, &ret->output, &err))
        ret->outcome = AWS_OK;
    else
        aws_answer_fail(ret, AWS_FAILED, arena, &err);
}

static void read_outcome(struct aws_client *client, const struct aws_sending *sending,
                         struct str url, const struct net_answer *answer, struct arena *arena,
                         struct aws_answer *ret, struct aws_hint *hint)
{
    switch (answer->outcome) {
    case NET_ANSWERED:
        read_answer(client, sending, answer, arena, ret, hint);
        return;
    case NET_NOT_SENT:
        fail_sent(ret, AWS_NOT_SENT, "A0322", arena, url, answer->reason);
        return;
    case NET_GATED:
        ret->gate_closed = true;
        ret->outcome = AWS_NOT_SENT;
        ret->code = STR("A0320");
        ret->message = str_from(arena_printf(arena, "%s", answer->reason));
        return;
    case NET_TOO_LARGE:
        fail_sent(ret, AWS_FAILED, "A0324", arena, url, answer->reason);
        return;
    case NET_UNKNOWN:
    case NET_CANCELLED:
        fail_sent(ret, AWS_UNKNOWN, "A0323", arena, url, answer->reason);
        return;
    }
}

void aws_send(struct aws_client *client, const struct aws_sending *sending, struct arena *arena,
              struct aws_answer *ret, struct aws_hint *ret_hint)
{
    struct aws_hint unused = {0};
    struct aws_hint *hint = ret_hint ? ret_hint : &unused;
    struct aws_prepared prepared;
    struct error err;
    *ret = (struct aws_answer){.outcome = AWS_NOT_SENT};
    *hint = (struct aws_hint){0};
    int64_t wall_ms = clock_wall_ms(client->world.clock) + atomic_load(&client->clock_offset_ms);
    if (!aws_prepare(client, sending, wall_ms, arena, &prepared, &err)) {
        aws_answer_fail(ret, AWS_NOT_SENT, arena, &err);
        return;
    }
    struct net_request request = {.method = prepared.request.method,
                                  .url = prepared.url,
                                  .headers = prepared.request.headers,
                                  .header_count = prepared.request.header_count,
                                  .body = prepared.request.body,
                                  .deadline_ms = sending->deadline_ms,
                                  .gate = sending->gate,
                                  .gate_ctx = sending->gate_ctx};
    struct net_answer answer;
    client->world.http(client->world.http_ctx, &request, arena, &answer);
    read_outcome(client, sending, prepared.url, &answer, arena, ret, hint);
}
