// SPDX-License-Identifier: Apache-2.0
/* Credentials of IAM Identity Center: the token that `aws sso login` left in ~/.aws/sso/cache is
 * traded for those of a role. An expired token needs a new login; it is not renewed here. */
#include <openssl/evp.h>

#include "aws/credentials_internal.h"
#include "base/hash.h"
#include "value/json.h"

struct sso {
    struct str region, start_url, account, role;
    struct str cache_key; // what the file's name is the hash of
};

static enum provided broken(struct provider_call *p, const char *what)
{
    error_set(p->err, "A0303", "SSO: %s", what);
    return BROKEN;
}

static enum provided read_settings(struct provider_call *p, struct str profile, struct sso *ret)
{
    const struct aws_config *config = &p->client->config;
    struct str session = aws_section_get(config->profiles, profile, "sso_session");
    ret->account = aws_section_get(config->profiles, profile, "sso_account_id");
    ret->role = aws_section_get(config->profiles, profile, "sso_role_name");
    if (!ret->account.len || !ret->role.len)
        return broken(p, "the profile has no sso_account_id or sso_role_name: it gives a token, "
                         "not credentials");
    ret->region = aws_section_get(config->profiles, profile, "sso_region");
    ret->start_url = aws_section_get(config->profiles, profile, "sso_start_url");
    ret->cache_key = ret->start_url;
    if (session.len) {
        struct str region = aws_section_get(config->sso_sessions, session, "sso_region");
        struct str url = aws_section_get(config->sso_sessions, session, "sso_start_url");
        if ((ret->region.len && !str_eq(ret->region, region)) ||
            (ret->start_url.len && !str_eq(ret->start_url, url)))
            return broken(p, "sso_region and sso_start_url of the profile differ from the "
                             "[sso-session]'s, where alone they belong");
        ret->region = region;
        ret->start_url = url;
        ret->cache_key = session;
    }
    return ret->region.len && ret->start_url.len
               ? PROVIDED
               : broken(p, "sso_region or sso_start_url is missing");
}

static const char *cache_path(struct provider_call *p, struct str key)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    if (EVP_Digest(key.ptr, key.len, digest, &size, EVP_sha1(), NULL) != 1)
        return NULL;
    hash_hex(digest, size, hex);
    return arena_printf(p->arena, "%.*s/.aws/sso/cache/%s.json",
                        STR_FMT(aws_world_env(&p->client->world, "HOME")), hex);
}

static enum provided read_token(struct provider_call *p, struct str key, struct str *ret)
{
    const struct aws_world *world = &p->client->world;
    const char *path = cache_path(p, key);
    struct str text;
    struct value document;
    struct error ignored; // may quote the token
    int64_t expires_ms;
    if (!path || !world->read_file(world->file_ctx, path, p->arena, &text)) {
        error_set(p->err, "A0303", "SSO: failed to read `%s`", path ? path : "the token");
        error_hint(p->err, "log in with `aws sso login`");
        return BROKEN;
    }
    if (!json_parse(p->arena, text, &document, &ignored))
        return broken(p, "the cached token is not JSON");
    *ret = value_path_str(document, "accessToken");
    if (!ret->len || !clock_parse(value_path_str(document, "expiresAt"), &expires_ms))
        return broken(p, "the cached token has no accessToken or expiresAt");
    if (expires_ms > clock_wall_ms(world->clock))
        return PROVIDED;
    broken(p, "the cached token has expired");
    error_hint(p->err, "log in again with `aws sso login`");
    return BROKEN;
}

enum provided provide_sso(struct provider_call *p, struct str profile)
{
    struct sso sso = {0};
    struct str token = {0};
    enum provided provided = read_settings(p, profile, &sso);
    if (provided == PROVIDED)
        provided = read_token(p, sso.cache_key, &token);
    if (provided != PROVIDED)
        return provided;
    struct value_builder input = {.arena = p->arena};
    value_set(&input, "roleName", value_string(sso.role));
    value_set(&input, "accountId", value_string(sso.account));
    value_set(&input, "accessToken", value_string(token));
    struct value output;
    provided = provider_ask(p, "sso:GetRoleCredentials", value_finish_map(&input), sso.region, NULL,
                            &output);
    if (provided != PROVIDED)
        return provided;
    const struct value *expires = value_path(output, "roleCredentials.expiration");
    *p->ret = (struct aws_credentials){
        value_path_str(output, "roleCredentials.accessKeyId"),
        value_path_str(output, "roleCredentials.secretAccessKey"),
        value_path_str(output, "roleCredentials.sessionToken"),
        expires && expires->kind == VALUE_INT ? expires->i : INT64_MAX, sso.account};
    return p->ret->secret_key.len ? PROVIDED : broken(p, "the service gave no credentials");
}
