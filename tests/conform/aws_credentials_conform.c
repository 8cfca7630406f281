// SPDX-License-Identifier: Apache-2.0
/* conform_aws_credentials DIR [MODELS]: configuration files (profile-parser-tests.json), where they
 * lie (file-location-tests.json) and whole chains (default-credential-provider-chain/,
 * profile-provider/: env.json, fs/, http-traffic.json, test-case.json), with variables, files and
 * HTTP of the case's own. */
#include <dirent.h>

#include "aws/client_internal.h"
#include "conform_file.h"

/* Cases that differ from botocore's order, or need what is ruled out. */
static const struct {
    const char *name, *reason;
} skips[] = {
    {"profile-provider/credential_process", "its command is a shell's pipe; no shell is started"},
    {"profile-provider/credential_process_account_id_fallback",
     "its command is a shell's pipe; no shell is started"},
    {"default-credential-provider-chain/imds_token_fail",
     "403 of the token falls back to version 1, as botocore does"},
};

struct traffic {
    struct value connections[32]; // requests
    struct value answers[32];
    struct str bodies[32];
    size_t count, next;
    bool strayed;
    char want[512], got[512];
};

struct scene {
    const char *dir;
    struct value env;
    bool profile_only; // the case asks the profile's provider, not the chain
    struct traffic traffic;
    struct arena *arena;
};

static const char *lookup(void *ctx, const char *name)
{
    struct scene *scene = ctx;
    struct str v = value_path_str(scene->env, name);
    if (scene->profile_only && strcmp(name, "AWS_ACCESS_KEY_ID") == 0)
        return NULL;
    return v.len ? arena_printf(scene->arena, "%.*s", STR_FMT(v)) : NULL;
}

static bool read_file(void *ctx, const char *path, struct arena *arena, struct str *ret)
{
    struct scene *scene = ctx;
    const char *slash = path[0] == '/' ? "" : "/";
    const char *full = arena_printf(arena, "%s/fs%s%s", scene->dir, slash, path);
    return full && conform_read_text(full, arena, ret);
}

static struct str without_slash(struct str s)
{
    while (s.len && s.ptr[s.len - 1] == '/')
        s.len--;
    return s;
}

static void replay(void *ctx, const struct net_request *request, struct arena *arena,
                   struct net_answer *ret)
{
    struct traffic *traffic = &((struct scene *)ctx)->traffic;
    *ret = (struct net_answer){.outcome = NET_NOT_SENT, .reason = "no such request in the case"};
    if (traffic->next >= traffic->count)
        return;
    size_t at = traffic->next++;
    struct str uri = value_path_str(traffic->connections[at], "uri");
    if (!str_is(request->method, "GET") &&
        !str_eq(request->method, value_path_str(traffic->connections[at], "method")))
        traffic->strayed = true;
    /* A query's pairs may come in another order. */
    struct str got = request->url, want = uri;
    struct str got_path = without_slash(str_cut(&got, '?')),
               want_path = without_slash(str_cut(&want, '?'));
    if (!str_eq(got_path, want_path) || got.len != want.len) {
        traffic->strayed = true;
        snprintf(traffic->want, sizeof(traffic->want), "%.*s", STR_FMT(uri));
        snprintf(traffic->got, sizeof(traffic->got), "%.*s", STR_FMT(request->url));
        return;
    }
    const struct value *status = value_path(traffic->answers[at], "Ok.status");
    if (!status)
        return;
    ret->outcome = NET_ANSWERED;
    ret->status = (int)status->i;
    ret->body = str_copy(arena, traffic->bodies[at]);
}

static void read_traffic(struct scene *scene, struct value document)
{
    const struct value *events = value_get(document, STR("events"));
    struct traffic *traffic = &scene->traffic;
    for (uint32_t i = 0; events && i < events->len; i++) {
        struct value event = events->items[i];
        const struct value *id = value_get(event, STR("connection_id"));
        size_t at = id ? (size_t)id->i : 0;
        if (at >= 32)
            continue;
        traffic->count = at + 1 > traffic->count ? at + 1 : traffic->count;
        const struct value *request = value_path(event, "action.Request.request");
        const struct value *response = value_path(event, "action.Response.response");
        if (request)
            traffic->connections[at] = *request;
        if (response)
            traffic->answers[at] = *response;
        if (str_is(value_path_str(event, "action.Data.direction"), "Response"))
            traffic->bodies[at] = value_path_str(event, "action.Data.data.Utf8");
    }
}

static bool same(struct value want, const char *key, struct str got)
{
    struct str text = value_path_str(want, key);
    return !value_get(want, str_from(key)) || str_eq(text, got);
}

static void judge(struct conform_result *result, struct str name, struct value test, bool ok,
                  const struct aws_credentials *got, const struct error *err,
                  const struct traffic *traffic)
{
    const struct value *want = value_path(test, "result.Ok");
    if (!want) {
        if (ok)
            conform_fail(result, name, "credentials were found");
        else
            result->passed++;
        return;
    }
    if (!ok) {
        conform_fail_text(result, name, str_from(traffic->want),
                          traffic->strayed ? str_from(traffic->got) : str_from(err->message));
        return;
    }
    const struct value *expiry = value_get(*want, STR("expiry"));
    bool same_time = !expiry || expiry->i == got->expires_ms / 1000;
    if (traffic->strayed || !same_time || !same(*want, "access_key_id", got->access_key) ||
        !same(*want, "secret_access_key", got->secret_key) ||
        !same(*want, "session_token", got->token) || !same(*want, "account_id", got->account))
        conform_fail(result, name, "other credentials, time or account");
    else
        result->passed++;
}

static bool is_skipped(struct conform_result *result, struct str name)
{
    for (size_t i = 0; i < sizeof(skips) / sizeof(skips[0]); i++) {
        if (!str_is(name, skips[i].name))
            continue;
        printf("skip %s: %s\n", skips[i].name, skips[i].reason);
        result->skipped++;
        return true;
    }
    return false;
}

/* A wall clock of before the expiry of everything in the cases, which are old. */
static int64_t early(void *ctx)
{
    (void)ctx;
    return 1000;
}
static int64_t steady(void *ctx)
{
    (void)ctx;
    return clock_steady_ms(clock_system());
}
static void dull(void *ctx, void *bytes, size_t size)
{
    (void)ctx;
    memset(bytes, 1, size);
}

static void run_scene(struct conform_result *result, struct aws_models *models, const char *dir,
                      struct str name)
{
    struct arena arena ARENA_AUTO = {0};
    static const struct clock clock = {early, steady, dull, NULL};
    struct scene scene = {
        .dir = dir, .arena = &arena, .profile_only = str_starts(name, STR("profile-provider/"))};
    struct value test, traffic;
    struct error err = {0};
    if (is_skipped(result, name) ||
        !conform_read(result, arena_printf(&arena, "%s/test-case.json", dir), &arena, &test) ||
        !conform_read(result, arena_printf(&arena, "%s/env.json", dir), &arena, &scene.env) ||
        !conform_read(result, arena_printf(&arena, "%s/http-traffic.json", dir), &arena, &traffic))
        return;
    read_traffic(&scene, traffic);
    struct aws_world world = {lookup, &scene, read_file, &scene, replay, &scene, &clock};
    struct aws_client *client = aws_client_create_in(models, &world, 0, &err);
    struct aws_credentials got = {0};
    bool ok = client && aws_chain_fetch(client, &arena, &got, &err);
    judge(result, name, test, ok, &got, &err, &scene.traffic);
    aws_client_destroy(client);
}

static void run_scenes(struct conform_result *result, struct aws_models *models, const char *dir,
                       const char *kind)
{
    char path[4096], name[512];
    snprintf(path, sizeof(path), "%s/%s", dir, kind);
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%s/%s", dir, kind, entries[i]->d_name);
        snprintf(name, sizeof(name), "%s/%s", kind, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            run_scene(result, models, path, str_from(name));
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static bool covers(struct value got, const struct value *want)
{
    return !want || value_equal(got, *want);
}

static void run_parser(struct conform_result *result, struct value v)
{
    struct arena arena ARENA_AUTO = {0};
    struct aws_config config;
    struct error err;
    struct str name = value_path_str(v, "name"),
               error = value_path_str(v, "output.errorContaining");
    bool ok = aws_config_parse(value_path_str(v, "input.configFile"), "config",
                               value_path_str(v, "input.credentialsFile"), "credentials", &arena,
                               &config, &err);
    if (error.len ? ok || str_find(str_from(err.message), error) == SIZE_MAX : !ok) {
        conform_fail_text(result, name, error, ok ? STR("no error") : str_from(err.message));
        return;
    }
    if (ok && (!covers(config.profiles, value_path(v, "output.config.profiles")) ||
               !covers(config.sso_sessions, value_path(v, "output.config.sso_sessions")))) {
        conform_fail(result, name, "other sections or keys");
        return;
    }
    result->passed++;
}

static void run_location(struct conform_result *result, struct value v)
{
    struct arena arena ARENA_AUTO = {0};
    struct value_builder env = {.arena = &arena};
    const struct value *given = value_get(v, STR("environment"));
    for (uint32_t i = 0; given && i < given->len; i++)
        value_set_str(&env, value_str(given->pairs[i].key), given->pairs[i].value);
    struct scene scene = {.arena = &arena, .env = value_finish_map(&env)};
    struct aws_world world = {.env = lookup, .env_ctx = &scene};
    if (!str_is(value_path_str(v, "platform"), "linux")) {
        printf("skip %.*s: another system's paths\n", STR_FMT(value_path_str(v, "name")));
        result->skipped++;
        return;
    }
    if (!str_is(value_path_str(v, "configLocation"), aws_config_path(&world, &arena)) ||
        !str_is(value_path_str(v, "credentialsLocation"), aws_credentials_path(&world, &arena)))
        conform_fail(result, value_path_str(v, "name"), "other paths");
    else
        result->passed++;
}

static void run_file(struct conform_result *result, const char *dir, const char *file,
                     void (*run)(struct conform_result *result, struct value v))
{
    struct arena arena ARENA_AUTO = {0};
    struct value document;
    if (!conform_read(result, arena_printf(&arena, "%s/%s", dir, file), &arena, &document))
        return;
    const struct value *tests = value_get(document, STR("tests"));
    for (uint32_t i = 0; tests && i < tests->len; i++)
        run(result, tests->items[i]);
}

int main(int argc, char **argv)
{
    struct conform_result result = {0};
    struct error err;
    const char *models_dir = argc > 2 ? argv[2] : getenv("RECTIFY_MODELS");
    if (argc < 2)
        return 77;
    run_file(&result, argv[1], "profile-parser-tests.json", run_parser);
    run_file(&result, argv[1], "file-location-tests.json", run_location);
    struct aws_models *models = aws_models_open(models_dir ? models_dir : CONFORM_MODELS, &err);
    if (models) {
        run_scenes(&result, models, argv[1], "default-credential-provider-chain");
        run_scenes(&result, models, argv[1], "profile-provider");
    } else {
        printf("skipped: the chains, %s\n", err.message);
        result.missing++;
    }
    aws_models_close(models);
    return conform_end(&result);
}
