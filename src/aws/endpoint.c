// SPDX-License-Identifier: Apache-2.0
/* Where a client's request goes: parameters of the rules from configuration and input, and a memory
 * of what came out.
 *
 * For most services the endpoint depends on the region alone. For S3 it depends on the bucket, of
 * which there are many: an ordinary bucket name is evaluated as a stand-in name, remembered, and
 * put in its place afterwards. Names with any special meaning in the rules are evaluated as they
 * are. */
#include "aws/client_internal.h"

#include <ctype.h>

#include "aws/jmespath.h"

#define STAND_IN "rectify-stand-in-bucket"

/* ---- configuration ---- */

static struct str service_words(struct arena *arena, struct str id, bool upper)
{
    char *text = arena_copy(arena, id.ptr, id.len);
    for (size_t i = 0; text && i < id.len; i++) {
        int c = (unsigned char)text[i];
        text[i] = c == ' ' || c == '-' ? '_' : (char)(upper ? toupper(c) : tolower(c));
    }
    return (struct str){text, text ? id.len : 0};
}

struct str aws_client_endpoint_url(struct aws_client *client, const struct aws_service *service,
                                   struct arena *arena)
{
    if (client->ignore_endpoints)
        return (struct str){0};
    struct str id = service->service_id.len ? service->service_id : service->name;
    struct str variable = STR_JOIN(arena, STR("AWS_ENDPOINT_URL_"), service_words(arena, id, true));
    struct str url = variable.ptr ? aws_world_env(&client->world, variable.ptr) : (struct str){0};
    if (!url.len)
        url = aws_world_env(&client->world, "AWS_ENDPOINT_URL");
    if (!url.len) {
        struct str section = aws_config_get(&client->config, "services");
        struct str key = service_words(arena, id, false);
        struct str nested = key.ptr && section.len
                                ? aws_section_get(client->config.services, section, key.ptr)
                                : (struct str){0};
        url = aws_config_nested(nested, "endpoint_url");
    }
    return url.len ? url : aws_config_get(&client->config, "endpoint_url");
}

bool aws_client_partitions(struct aws_client *client, struct value *ret, struct error *err)
{
    pthread_mutex_lock(&client->partitions_lock);
    if (!client->partitions_loaded)
        client->partitions_loaded = aws_models_partitions(client->models, &client->partitions, err);
    bool ok = client->partitions_loaded;
    if (ok)
        *ret = client->partitions;
    pthread_mutex_unlock(&client->partitions_lock);
    return ok;
}

/* ---- parameters ---- */

struct builtin {
    const char *name;
    bool (*flag)(const struct aws_client *client, struct str endpoint);
};

static bool flag_fips(const struct aws_client *client, struct str endpoint)
{
    (void)endpoint;
    return client->fips;
}
static bool flag_dual_stack(const struct aws_client *client, struct str endpoint)
{
    (void)endpoint;
    return client->dual_stack;
}
static bool flag_path_style(const struct aws_client *client, struct str endpoint)
{
    return client->s3_path_style || endpoint.len > 0;
}
static bool flag_yes(const struct aws_client *client, struct str endpoint)
{
    (void)client, (void)endpoint;
    return true;
}

static const struct builtin builtins[] = {
    {"AWS::UseFIPS", flag_fips},
    {"AWS::UseDualStack", flag_dual_stack},
    {"AWS::S3::ForcePathStyle", flag_path_style},
    {"AWS::S3::UseArnRegion", flag_yes},
    {"AWS::S3Control::UseArnRegion", flag_yes},
};

static void add_builtin(const struct aws_client *client, struct value_pair parameter,
                        struct str region, struct str endpoint, struct value_builder *params)
{
    const struct value *builtin = value_get(parameter.value, STR("builtIn"));
    struct str what = builtin ? value_str(*builtin) : (struct str){0};
    struct str name = value_str(parameter.key);
    if (str_is(what, "AWS::Region") && region.len)
        value_set_str(params, name, value_string(region));
    else if (str_is(what, "SDK::Endpoint") && endpoint.len)
        value_set_str(params, name, value_string(endpoint));
    for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++) {
        if (str_is(what, builtins[i].name))
            value_set_str(params, name, value_bool(builtins[i].flag(client, endpoint)));
    }
}

static void add_contexts(const struct aws_operation *op, struct value input, struct arena *arena,
                         struct value_builder *params)
{
    for (uint32_t i = 0; op->static_contexts.kind == VALUE_MAP && i < op->static_contexts.len;
         i++) {
        struct value_pair pair = op->static_contexts.pairs[i];
        const struct value *v = value_get(pair.value, STR("value"));
        if (v)
            value_set_str(params, value_str(pair.key), *v);
    }
    const struct aws_shape *shape = op->input ? op->input->shape : NULL;
    for (size_t i = 0; shape && i < shape->member_count; i++) {
        const struct aws_ref *ref = &shape->members[i];
        const struct value *v = ref->context_param.ptr ? value_get(input, ref->name) : NULL;
        if (v && v->kind != VALUE_NULL)
            value_set_str(params, ref->context_param, *v);
    }
    for (uint32_t i = 0; op->operation_contexts.kind == VALUE_MAP && i < op->operation_contexts.len;
         i++) {
        struct value_pair pair = op->operation_contexts.pairs[i];
        struct value v;
        if (aws_jmespath_search(value_path_str(pair.value, "path"), input, arena, &v, NULL) &&
            v.kind != VALUE_NULL)
            value_set_str(params, value_str(pair.key), v);
    }
}

/* ---- S3's many buckets ---- */

static bool is_ordinary_bucket(struct str name)
{
    if (name.len < 3 || name.len > 63)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool edge = i == 0 || i + 1 == name.len;
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && !edge)))
            return false;
        if (c == '-' && name.ptr[i + 1] == '-')
            return false; // "--x-s3", "--op-s3" and the like mean something
    }
    return true;
}

static struct str put_back(struct arena *arena, struct str text, struct str bucket)
{
    size_t at = str_find(text, STR(STAND_IN));
    if (at == SIZE_MAX)
        return text;
    struct buf out = {.arena = arena};
    buf_reserve(&out, text.len + bucket.len);
    buf_add(&out, text.ptr, at);
    buf_add_str(&out, bucket);
    buf_add_str(&out, str_sub(text, at + sizeof(STAND_IN) - 1, SIZE_MAX));
    return buf_str(&out);
}

/* ---- from the rules' result to parts ---- */

static bool choose_auth(const struct aws_endpoint *endpoint, struct aws_resolved *made)
{
    const struct value *schemes = value_get(endpoint->properties, STR("authSchemes"));
    if (!schemes || schemes->kind != VALUE_LIST || schemes->len == 0)
        return true;
    for (uint32_t i = 0; i < schemes->len; i++) {
        struct value scheme = schemes->items[i];
        struct str name = value_path_str(scheme, "name");
        if (str_is(name, "none")) {
            made->no_auth = true;
            return true;
        }
        if (!str_is(name, "sigv4"))
            continue;
        struct str region = value_path_str(scheme, "signingRegion");
        struct str service = value_path_str(scheme, "signingName");
        const struct value *once = value_get(scheme, STR("disableDoubleEncoding"));
        made->signing_region = region.len ? region : made->signing_region;
        made->signing_name = service.len ? service : made->signing_name;
        made->double_encode = !(once && once->kind == VALUE_BOOL && once->b);
        return true;
    }
    return false;
}

bool aws_resolve_url(const struct aws_service *service, const struct aws_endpoint *endpoint,
                     struct str region, struct arena *arena, struct aws_resolved *ret,
                     struct error *err)
{
    (void)arena;
    struct str rest = endpoint->url;
    size_t colon = str_find(rest, STR("://"));
    if (colon == SIZE_MAX)
        return error_set(err, "A0311", "the endpoint %.*s is not an address", STR_FMT(rest));
    struct aws_resolved made = {.scheme = str_sub(rest, 0, colon),
                                .signing_region = region,
                                .signing_name = service->signing_name,
                                .double_encode = true,
                                .headers = endpoint->headers};
    rest = str_sub(rest, colon + 3, SIZE_MAX);
    size_t slash = str_find_byte(rest, '/');
    made.host = str_sub(rest, 0, slash);
    made.path = slash == SIZE_MAX ? STR("") : str_sub(rest, slash, SIZE_MAX);
    while (made.path.len && made.path.ptr[made.path.len - 1] == '/')
        made.path.len--;
    struct str port = str_is(made.scheme, "http") ? STR(":80") : STR(":443");
    if (str_ends(made.host, port))
        made.host.len -= port.len;
    made.unsupported_auth = !choose_auth(endpoint, &made);
    *ret = made;
    return true;
}

/* ---- the memory ---- */

static struct str cache_key(const struct aws_service *service, struct str region,
                            struct value params, struct arena *arena)
{
    struct buf key = {.arena = arena};
    buf_add_str(&key, service->name);
    buf_add_byte(&key, '\0');
    buf_add_str(&key, region);
    for (uint32_t i = 0; i < params.len; i++) {
        struct value v = params.pairs[i].value;
        buf_add_byte(&key, '\0');
        buf_add_str(&key, value_str(params.pairs[i].key));
        buf_add_byte(&key, v.kind == VALUE_BOOL ? (v.b ? '+' : '-') : '=');
        buf_add_str(&key, value_str(v));
        if (v.kind == VALUE_LIST)
            return (struct str){0}; // not remembered
    }
    return buf_str(&key);
}

static bool keep_str(struct arena *arena, struct str *s)
{
    struct str copy = str_copy(arena, *s);
    *s = copy;
    return copy.ptr != NULL;
}

static void remember(struct aws_client *client, struct str key, const struct aws_resolved *resolved)
{
    pthread_rwlock_wrlock(&client->endpoint_lock);
    struct arena *arena = &client->endpoint_arena;
    struct aws_resolved *kept =
        client->endpoints.count < AWS_ENDPOINTS_MAX ? ARENA_NEW(arena, struct aws_resolved) : NULL;
    if (kept) {
        *kept = *resolved;
        bool ok = keep_str(arena, &key) && keep_str(arena, &kept->scheme) &&
                  keep_str(arena, &kept->host) && keep_str(arena, &kept->path) &&
                  keep_str(arena, &kept->signing_region) && keep_str(arena, &kept->signing_name) &&
                  value_copy(arena, resolved->headers, &kept->headers);
        ok = ok && map_set(&client->endpoints, key, kept);
        (void)ok; // not remembered is only slower
    }
    pthread_rwlock_unlock(&client->endpoint_lock);
}

static const struct aws_resolved *recall(struct aws_client *client, struct str key)
{
    if (!key.ptr)
        return NULL;
    pthread_rwlock_rdlock(&client->endpoint_lock);
    const struct aws_resolved *found = map_get(&client->endpoints, key);
    pthread_rwlock_unlock(&client->endpoint_lock);
    return found; // never changed or freed before the client
}

static bool is_ignored_param(struct str name)
{
    return str_is(name, "Key") || str_is(name, "Prefix") || str_is(name, "CopySource");
}

/* What the rules ask, from configuration and input. *ret_bucket is set when the stand-in is in it.
 */
static struct value collect_params(struct aws_client *client, const struct aws_operation *op,
                                   struct value rules, struct value input, struct str region,
                                   struct arena *arena, struct str *ret_bucket)
{
    const struct aws_service *service = op->service;
    struct value_builder params = {.arena = arena}, kept = {.arena = arena};
    bool s3 = str_is(service->name, "s3");
    struct str endpoint = aws_client_endpoint_url(client, service, arena);
    const struct value *parameters = value_get(rules, STR("parameters"));
    for (uint32_t i = 0; parameters && i < parameters->len; i++)
        add_builtin(client, parameters->pairs[i], region, endpoint, &params);
    add_contexts(op, input, arena, &params);
    /* The one operation that must reach buckets of which the region is not known. */
    if (s3 && str_is(op->name, "GetBucketLocation"))
        value_set(&params, "ForcePathStyle", value_bool(true));
    for (size_t i = 0; i < params.count; i++) {
        struct str name = value_str(params.pairs[i].key);
        struct value v = params.pairs[i].value;
        if (s3 && is_ignored_param(name))
            continue;
        if (s3 && str_is(name, "Bucket") && is_ordinary_bucket(value_str(v))) {
            *ret_bucket = value_str(v);
            v = value_string(STR(STAND_IN));
        }
        value_set_str(&kept, name, v);
    }
    return value_finish_map(&kept);
}

static bool evaluate(struct aws_client *client, const struct aws_service *service,
                     struct value rules, struct value params, struct str region,
                     struct arena *arena, struct aws_resolved *ret, struct error *err)
{
    struct value partitions;
    struct aws_endpoint endpoint;
    if (rules.kind != VALUE_MAP)
        return error_set(err, "A0311", "%.*s has no endpoint rules in its model",
                         STR_FMT(service->name));
    if (!aws_client_partitions(client, &partitions, err) ||
        !aws_endpoint_evaluate(rules, partitions, params, arena, &endpoint, err))
        return false;
    if (!value_get(params, STR("Endpoint")))
        region = aws_service_signing_region(
            service, value_path_str(aws_partition_of(partitions, region, arena), "name"), region);
    return aws_resolve_url(service, &endpoint, region, arena, ret, err);
}

bool aws_client_endpoint(struct aws_client *client, const struct aws_operation *op,
                         struct value input, struct str region, struct arena *arena,
                         struct aws_resolved *ret, struct error *err)
{
    struct str bucket = {0};
    struct value rules;
    if (!aws_service_endpoint_rules(op->service, &rules, err))
        return false;
    struct value params = collect_params(client, op, rules, input, region, arena, &bucket);
    struct str key = cache_key(op->service, region, params, arena);
    const struct aws_resolved *known = recall(client, key);
    struct aws_resolved made;
    if (known) {
        made = *known;
    } else {
        if (!evaluate(client, op->service, rules, params, region, arena, &made, err))
            return error_context(err, "endpoint of %.*s in %.*s", STR_FMT(op->service->name),
                                 STR_FMT(region.len ? region : STR("no region")));
        if (key.ptr)
            remember(client, key, &made);
    }
    if (bucket.len) {
        made.host = put_back(arena, made.host, bucket);
        made.path = put_back(arena, made.path, bucket);
    }
    if (!made.host.ptr || !made.path.ptr)
        return error_set(err, "A0311", "out of memory");
    *ret = made;
    return true;
}
