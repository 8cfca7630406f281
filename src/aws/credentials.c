// SPDX-License-Identifier: Apache-2.0
/* The chain of credential providers, in botocore's order:
 *
 *   environment ► profile's role ► web identity ► SSO ► profile's keys ► process ► container ►
 * metadata
 *
 * A provider that is not configured passes on; one that is configured and fails ends the chain, so
 * that no others' credentials are used by surprise. */
#include "aws/credentials_internal.h"

#include <stdio.h>

#include "base/hash.h"
#include "value/json.h"

#define PROFILE_CHAIN_MAX 10 // profiles that name each other as sources

/* ---- what providers share ---- */

enum provided provider_ask(struct provider_call *p, const char *operation, struct value input,
                           struct str region, const struct aws_credentials *credentials,
                           struct value *ret_output)
{
    struct aws_client *client = p->client;
    const struct aws_operation *op =
        aws_operation_find(client->models, str_from(operation), p->err);
    if (!op)
        return BROKEN;
    struct aws_sending sending = {.operation = op,
                                  .input = input,
                                  .region = region,
                                  .credentials = credentials,
                                  .deadline_ms =
                                      clock_steady_ms(client->world.clock) + AWS_STS_DEADLINE_MS};
    struct aws_answer answer;
    struct aws_hint hint;
    aws_send(client, &sending, p->arena, &answer, &hint);
    bool again = hint.skewed || str_is(answer.code, "IDPCommunicationError");
    if (answer.outcome != AWS_OK && again)
        aws_send(client, &sending, p->arena, &answer, NULL);
    if (answer.outcome == AWS_OK) {
        *ret_output = answer.output;
        return PROVIDED;
    }
    error_set(p->err, "A0304", "%s: %.*s: %.*s", operation, STR_FMT(answer.code),
              STR_FMT(answer.message));
    return BROKEN;
}

static int64_t timestamp_ms(struct value v)
{
    int64_t ms;
    if (v.kind == VALUE_TIMESTAMP)
        return v.i * 1000;
    return clock_parse(value_str(v), &ms) ? ms : INT64_MAX;
}

enum provided provider_take_sts(struct provider_call *p, struct value output)
{
    const struct value *made = value_get(output, STR("Credentials"));
    const struct value *expires = made ? value_get(*made, STR("Expiration")) : NULL;
    if (!made || !value_path_str(*made, "SecretAccessKey").len) {
        error_set(p->err, "A0304", "STS answered without credentials");
        return BROKEN;
    }
    struct str rest = value_path_str(output, "AssumedRoleUser.Arn");
    for (int i = 0; i < 4; i++)
        (void)str_cut(&rest, ':');
    *p->ret = (struct aws_credentials){
        value_path_str(*made, "AccessKeyId"), value_path_str(*made, "SecretAccessKey"),
        value_path_str(*made, "SessionToken"), expires ? timestamp_ms(*expires) : INT64_MAX,
        str_cut(&rest, ':')};
    return PROVIDED;
}

/* Names of members differ in case between the sources that write such documents. */
static struct str member(struct value map, const char *name)
{
    for (uint32_t i = 0; map.kind == VALUE_MAP && i < map.len; i++) {
        if (str_eq_nocase(value_str(map.pairs[i].key), str_from(name)))
            return value_str(map.pairs[i].value);
    }
    return (struct str){0};
}

enum provided provider_take_json(struct provider_call *p, struct str text, const char *from)
{
    struct value document;
    struct error ignored; // may quote the text, which holds secrets
    if (!json_parse(p->arena, text, &document, &ignored)) {
        error_set(p->err, "A0303", "%s did not answer with JSON", from);
        return BROKEN;
    }
    struct str code = member(document, "Code");
    if (code.len && !str_is(code, "Success")) {
        error_set(p->err, "A0303", "%s refused: %.*s: %.*s", from, STR_FMT(code),
                  STR_FMT(member(document, "Message")));
        return BROKEN;
    }
    struct str token = member(document, "Token"), expires = member(document, "Expiration");
    if (!token.len)
        token = member(document, "SessionToken");
    *p->ret = (struct aws_credentials){member(document, "AccessKeyId"),
                                       member(document, "SecretAccessKey"), token, INT64_MAX,
                                       member(document, "AccountId")};
    if (expires.len && !clock_parse(expires, &p->ret->expires_ms)) {
        error_set(p->err, "A0303", "%s answered with an expiration that is not a time", from);
        return BROKEN;
    }
    if (p->ret->access_key.len && p->ret->secret_key.len)
        return PROVIDED;
    error_set(p->err, "A0303", "%s answered without AccessKeyId or SecretAccessKey", from);
    return BROKEN;
}

struct str provider_session_name(struct provider_call *p, struct str wanted)
{
    if (wanted.len)
        return wanted;
    int64_t now_s = clock_wall_ms(p->client->world.clock) / 1000;
    const char *name = arena_printf(p->arena, "rectify-%lld", (long long)now_s);
    return name ? str_from(name) : STR("rectify");
}

/* ---- environment ---- */

enum provided provide_environment(struct provider_call *p)
{
    const struct aws_world *world = &p->client->world;
    struct str key = aws_world_env(world, "AWS_ACCESS_KEY_ID");
    struct str secret = aws_world_env(world, "AWS_SECRET_ACCESS_KEY");
    struct str token = aws_world_env(world, "AWS_SESSION_TOKEN");
    if (!token.len)
        token = aws_world_env(world, "AWS_SECURITY_TOKEN");
    if (!key.len)
        return NOT_PROVIDED;
    if (!secret.len) {
        error_set(p->err, "A0303", "AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not");
        return BROKEN;
    }
    int64_t expires_ms = INT64_MAX;
    struct str expires = aws_world_env(world, "AWS_CREDENTIAL_EXPIRATION");
    if (expires.len && !clock_parse(expires, &expires_ms))
        expires_ms = INT64_MAX;
    *p->ret = (struct aws_credentials){str_copy(p->arena, key), str_copy(p->arena, secret),
                                       str_copy(p->arena, token), expires_ms,
                                       aws_world_env(world, "AWS_ACCOUNT_ID")};
    return PROVIDED;
}

/* ---- web identity ---- */

enum provided provide_web_identity(struct provider_call *p, struct str token_file, struct str role,
                                   struct str session)
{
    const struct aws_world *world = &p->client->world;
    struct str path = str_copy(p->arena, token_file), token;
    if (!role.len) {
        error_set(p->err, "A0303", "a web identity token is configured but `role_arn` is missing");
        return BROKEN;
    }
    if (!path.ptr || !world->read_file(world->file_ctx, path.ptr, p->arena, &token)) {
        error_set(p->err, "A0303", "the web identity token %.*s cannot be read",
                  STR_FMT(token_file));
        return BROKEN;
    }
    struct value_builder input = {.arena = p->arena};
    value_set(&input, "RoleArn", value_string(role));
    value_set(&input, "RoleSessionName", value_string(provider_session_name(p, session)));
    value_set(&input, "WebIdentityToken", value_string(str_trim(token)));
    struct value output;
    enum provided asked = provider_ask(p, "sts:AssumeRoleWithWebIdentity", value_finish_map(&input),
                                       p->client->region, NULL, &output);
    return asked == PROVIDED ? provider_take_sts(p, output) : asked;
}

/* ---- roles ---- */

struct role_options {
    struct str arn, session, external_id, duration;
};

static enum provided assume(struct provider_call *p, const struct role_options *options,
                            const struct aws_credentials *base)
{
    struct value_builder input = {.arena = p->arena};
    int64_t seconds;
    value_set(&input, "RoleArn", value_string(options->arn));
    value_set(&input, "RoleSessionName", value_string(provider_session_name(p, options->session)));
    if (options->external_id.len)
        value_set(&input, "ExternalId", value_string(options->external_id));
    if (str_to_int64(options->duration, &seconds))
        value_set(&input, "DurationSeconds", value_int(seconds));
    struct value output;
    enum provided asked = provider_ask(p, "sts:AssumeRole", value_finish_map(&input),
                                       p->client->region, base, &output);
    return asked == PROVIDED ? provider_take_sts(p, output) : asked;
}

bool aws_role_fetch(const struct aws_source *source, struct arena *arena,
                    struct aws_credentials *ret, struct error *err)
{
    struct aws_identity *base = aws_source_get(source->base, err);
    struct provider_call p = {source->client, arena, ret, err};
    struct role_options options = {.arn = source->role_arn,
                                   .session = source->client->session,
                                   .external_id = source->external_id};
    if (!base)
        return false;
    enum provided made = assume(&p, &options, &base->credentials);
    aws_identity_release(base);
    return made == PROVIDED || error_context(err, "%.*s", STR_FMT(source->role_arn));
}

/* ---- profiles ---- */

static struct str key_of(const struct provider_call *p, struct str profile, const char *key)
{
    return aws_section_get(p->client->config.profiles, profile, key);
}

static enum provided profile_keys(struct provider_call *p, struct str profile)
{
    struct str key = key_of(p, profile, "aws_access_key_id");
    struct str secret = key_of(p, profile, "aws_secret_access_key");
    if (!key.len && !secret.len)
        return NOT_PROVIDED;
    if (!key.len || !secret.len) {
        error_set(p->err, "A0303", "the profile %.*s has no %s", STR_FMT(profile),
                  key.len ? "aws_secret_access_key" : "aws_access_key_id");
        return BROKEN;
    }
    *p->ret = (struct aws_credentials){str_copy(p->arena, key), str_copy(p->arena, secret),
                                       str_copy(p->arena, key_of(p, profile, "aws_session_token")),
                                       INT64_MAX, key_of(p, profile, "aws_account_id")};
    return PROVIDED;
}

static enum provided profile_any(struct provider_call *p, struct str profile, unsigned depth);

static enum provided named_source(struct provider_call *p, struct str source)
{
    static const struct {
        const char *name;
        enum provided (*provide)(struct provider_call *p);
    } sources[] = {{"Environment", provide_environment},
                   {"EcsContainer", provide_container},
                   {"Ec2InstanceMetadata", provide_metadata}};
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        if (!str_is(source, sources[i].name))
            continue;
        enum provided provided = sources[i].provide(p);
        if (provided == NOT_PROVIDED)
            error_set(p->err, "A0303", "the credential_source %s has no credentials",
                      sources[i].name);
        return provided == PROVIDED ? PROVIDED : BROKEN;
    }
    error_set(p->err, "A0303",
              "the credential_source %.*s is not one of Environment, EcsContainer and "
              "Ec2InstanceMetadata",
              STR_FMT(source));
    return BROKEN;
}

/* The credentials with which a profile's role is assumed. */
static enum provided role_base(struct provider_call *p, struct str profile, unsigned depth)
{
    struct str source = key_of(p, profile, "source_profile");
    struct str named = key_of(p, profile, "credential_source");
    if (source.len && named.len) {
        error_set(p->err, "A0303", "the profile %.*s has both source_profile and credential_source",
                  STR_FMT(profile));
        return BROKEN;
    }
    if (named.len)
        return named_source(p, named);
    if (!source.len) {
        error_set(p->err, "A0303",
                  "the profile %.*s has a role_arn but no source_profile or credential_source",
                  STR_FMT(profile));
        return BROKEN;
    }
    if (!value_get(p->client->config.profiles, source)) {
        error_set(p->err, "A0341", "the profile %.*s, source of %.*s, does not exist",
                  STR_FMT(source), STR_FMT(profile));
        return BROKEN;
    }
    enum provided keys = profile_keys(p, source);
    if (keys != NOT_PROVIDED)
        return keys;
    if (str_eq(source, profile) || depth >= PROFILE_CHAIN_MAX) {
        error_set(p->err, "A0303", "the profile %.*s is its own source", STR_FMT(profile));
        return BROKEN;
    }
    enum provided provided = profile_any(p, source, depth + 1);
    if (provided == NOT_PROVIDED)
        error_set(p->err, "A0303", "the profile %.*s has no credentials", STR_FMT(source));
    return provided == PROVIDED ? PROVIDED : BROKEN;
}

static enum provided profile_role(struct provider_call *p, struct str profile, unsigned depth)
{
    struct role_options options = {.arn = key_of(p, profile, "role_arn"),
                                   .session = key_of(p, profile, "role_session_name"),
                                   .external_id = key_of(p, profile, "external_id"),
                                   .duration = key_of(p, profile, "duration_seconds")};
    struct str token_file = key_of(p, profile, "web_identity_token_file");
    if (token_file.len)
        return provide_web_identity(p, token_file, options.arn, options.session);
    if (!options.arn.len)
        return NOT_PROVIDED;
    if (key_of(p, profile, "mfa_serial").len) {
        error_set(p->err, "A0303",
                  "the profile %.*s wants a code of an MFA device, which nobody can type here",
                  STR_FMT(profile));
        return BROKEN;
    }
    struct aws_credentials base = {0};
    struct provider_call inner = {p->client, p->arena, &base, p->err};
    enum provided provided = role_base(&inner, profile, depth);
    return provided == PROVIDED ? assume(p, &options, &base) : provided;
}

static bool has_sso(const struct provider_call *p, struct str profile)
{
    return key_of(p, profile, "sso_session").len || key_of(p, profile, "sso_start_url").len ||
           key_of(p, profile, "sso_account_id").len;
}

/* What a profile says, in the chain's order. */
static enum provided profile_any(struct provider_call *p, struct str profile, unsigned depth)
{
    enum provided provided = profile_role(p, profile, depth);
    if (provided == NOT_PROVIDED && has_sso(p, profile))
        provided = provide_sso(p, profile);
    if (provided == NOT_PROVIDED)
        provided = profile_keys(p, profile);
    struct str command = key_of(p, profile, "credential_process");
    if (provided == NOT_PROVIDED && command.len) {
        provided = provide_process(p, command);
        if (provided == PROVIDED && !p->ret->account.len)
            p->ret->account = key_of(p, profile, "aws_account_id");
    }
    return provided;
}

/* The web identity of the environment stands between the profile's role and its other words. */
static enum provided provide_profile(struct provider_call *p)
{
    const struct aws_config *config = &p->client->config;
    if (config->profile_chosen && !value_get(config->profiles, config->profile)) {
        error_set(p->err, "A0341", "the profile %.*s does not exist", STR_FMT(config->profile));
        return BROKEN;
    }
    if (key_of(p, config->profile, "role_arn").len &&
        !key_of(p, config->profile, "web_identity_token_file").len)
        return profile_role(p, config->profile, 0);
    const struct aws_world *world = &p->client->world;
    struct str token_file = aws_world_env(world, "AWS_WEB_IDENTITY_TOKEN_FILE");
    if (token_file.len)
        return provide_web_identity(p, token_file, aws_world_env(world, "AWS_ROLE_ARN"),
                                    aws_world_env(world, "AWS_ROLE_SESSION_NAME"));
    return profile_any(p, config->profile, 0);
}

/* ---- the chain ---- */

bool aws_chain_fetch(struct aws_client *client, struct arena *arena, struct aws_credentials *ret,
                     struct error *err)
{
    static enum provided (*const chain[])(struct provider_call * p) = {
        provide_environment, provide_profile, provide_container, provide_metadata};
    struct provider_call p = {client, arena, ret, err};
    for (size_t i = 0; i < sizeof(chain) / sizeof(chain[0]); i++) {
        enum provided provided = chain[i](&p);
        if (provided != NOT_PROVIDED)
            return provided == PROVIDED;
    }
    error_set(
        err, "A0302",
        "no credentials: not in the environment, the profile %.*s, a container or an instance",
        STR_FMT(client->config.profile));
    return error_hint(err, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE");
}
