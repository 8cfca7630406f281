// SPDX-License-Identifier: Apache-2.0
/* The credential chain in a world of its own: variables, files and HTTP answers are the test's. */
#include "../cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "aws/client_internal.h"

struct pair {
    const char *name, *text;
};

struct world {
    struct pair env[16], files[8];
    struct {
        const char *method, *url;
        int status; // 0 = nobody there
        const char *body;
    } http[8];
    unsigned asked;
    char last_header[128];
};

static const char *find(const struct pair *pairs, size_t count, const char *name)
{
    for (size_t i = 0; i < count && pairs[i].name; i++) {
        if (strcmp(pairs[i].name, name) == 0)
            return pairs[i].text;
    }
    return NULL;
}

static const char *lookup(void *ctx, const char *name)
{
    return find(((struct world *)ctx)->env, 16, name);
}

static bool read_file(void *ctx, const char *path, struct arena *arena, struct str *ret)
{
    const char *text = find(((struct world *)ctx)->files, 8, path);
    if (text)
        *ret = str_copy(arena, str_from(text));
    return text != NULL;
}

static void http(void *ctx, const struct net_request *request, struct arena *arena,
                 struct net_answer *ret)
{
    struct world *world = ctx;
    world->asked++;
    *ret = (struct net_answer){.outcome = NET_NOT_SENT, .reason = "nobody there"};
    for (size_t i = 0; i < request->header_count; i++) {
        if (!str_is(request->headers[i].name, "Host"))
            snprintf(world->last_header, sizeof(world->last_header), "%.*s: %.*s",
                     STR_FMT(request->headers[i].name), STR_FMT(request->headers[i].value));
    }
    for (size_t i = 0; i < 8 && world->http[i].url; i++) {
        if (!str_is(request->url, world->http[i].url) ||
            !str_is(request->method, world->http[i].method) || !world->http[i].status)
            continue;
        ret->outcome = NET_ANSWERED;
        ret->status = world->http[i].status;
        ret->body = str_copy(arena, str_from(world->http[i].body));
    }
}

/* Runs the chain; the access key and error are copied out. */
static bool fetch(struct world *world, char access_key[64], struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct net_options net_options = {.clock = clock_system()};
    struct net *net = net_create(&net_options, err);
    const char *dir = getenv("RECTIFY_MODELS");
    struct aws_models *models = aws_models_open(dir ? dir : TEST_MODELS, err);
    struct aws_client_options options = {
        .models = models, .net = net, .clock = clock_system(), .env = lookup, .env_ctx = world};
    struct aws_client *client = aws_client_create(&options, err);
    assert_non_null(client);
    client->world.read_file = read_file;
    client->world.file_ctx = world;
    client->world.http = http;
    client->world.http_ctx = world;
    bool ok = aws_config_load(&client->world, &client->arena, &client->config, err);
    struct aws_credentials made = {0};
    ok = ok && aws_chain_fetch(client, &arena, &made, err);
    snprintf(access_key, 64, "%.*s", STR_FMT(made.access_key));
    aws_client_destroy(client);
    aws_models_close(models);
    net_destroy(net);
    return ok;
}

#define CONFIG "/home/u/.aws/config"
#define KEYS(name) "aws_access_key_id = " name "\naws_secret_access_key = s\n"

static void test_credentials__the_first_provider_that_is_configured_wins(void **state)
{
    (void)state;
    static const struct {
        struct world world;
        const char *want; // access key
    } cases[] = {
        {{.env = {{"HOME", "/home/u"},
                  {"AWS_ACCESS_KEY_ID", "ENV"},
                  {"AWS_SECRET_ACCESS_KEY", "s"}},
          .files = {{CONFIG, "[default]\n" KEYS("FILE")}}},
         "ENV"},
        {{.env = {{"HOME", "/home/u"}, {"AWS_ACCESS_KEY_ID", " "}},
          .files = {{CONFIG, "[default]\n" KEYS("FILE")}}},
         "FILE"},
        {{.env = {{"HOME", "/home/u"}, {"AWS_PROFILE", "two"}},
          .files = {{CONFIG, "[default]\n" KEYS("ONE") "[profile two]\n" KEYS("TWO")}}},
         "TWO"},
        {{.env = {{"HOME", "/home/u"},
                  {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c"},
                  {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "t"}},
          .http = {{"GET", "http://169.254.170.2/c", 200,
                    "{\"AccessKeyId\": \"ECS\", \"SecretAccessKey\": \"s\", \"Token\": \"t\"}"}}},
         "ECS"},
        {{.http = {{"PUT", "http://169.254.169.254/latest/api/token", 200, "tok"},
                   {"GET", "http://169.254.169.254/latest/meta-data/iam/security-credentials/", 200,
                    "role\n"},
                   {"GET", "http://169.254.169.254/latest/meta-data/iam/security-credentials/role",
                    200,
                    "{\"Code\": \"Success\", \"AccessKeyId\": \"EC2\", "
                    "\"SecretAccessKey\": \"s\", \"Token\": \"t\"}"}}},
         "EC2"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world world = cases[i].world;
        struct error err = {0};
        char key[64];
        if (!fetch(&world, key, &err))
            fail_msg("case %zu: %s", i, err.message);
        assert_string_equal(key, cases[i].want);
    }
}

static void test_credentials__what_is_configured_and_broken_ends_the_chain(void **state)
{
    (void)state;
    static const struct {
        struct world world;
        const char *code, *part;
    } cases[] = {
        {{.env = {{"AWS_ACCESS_KEY_ID", "A"}}}, "A0303", "AWS_SECRET_ACCESS_KEY"},
        {{.env = {{"HOME", "/home/u"}}, .files = {{CONFIG, "[default]\naws_access_key_id = x\n"}}},
         "A0303",
         "aws_secret_access_key"},
        {{.env = {{"HOME", "/home/u"}},
          .files = {{CONFIG, "[default]\nrole_arn = r\nsource_profile = b\n"}}},
         "A0341",
         "does not exist"},
        {{.env = {{"HOME", "/home/u"}},
          .files = {{CONFIG, "[default]\nrole_arn = r\nsource_profile = b\n"
                             "[profile b]\nrole_arn = q\nsource_profile = default\n"}}},
         "A0303",
         "source"},
        {{.env = {{"HOME", "/home/u"}},
          .files = {{CONFIG, "[default]\nrole_arn = r\nsource_profile = default\n"
                             "credential_source = Environment\n"}}},
         "A0303",
         "both"},
        {{.env = {{"HOME", "/home/u"}},
          .files = {{CONFIG, "[default]\nweb_identity_token_file = /t\n"}}},
         "A0303",
         "role_arn"},
        {{.env = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1.evil.example/c"}}},
         "A0303",
         "neither"},
        {{.env = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost@evil.example/c"}}},
         "A0303",
         "neither"},
        {{.env = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/c"},
                  {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/token"}},
          .files = {{"/token", "a\r\nX-Evil: b"}}},
         "A0303",
         "line break"},
        {{.env = {{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "error"}}},
         "A0303",
         "`error` is not a valid endpoint mode"},
        {{.env = {{"HOME", "/home/u"}},
          .files = {{CONFIG, "[default]\ncredential_process = /bin/echo '{\"Version\": 2}'\n"}}},
         "A0303",
         "version 1"},
        {{.env = {{"HOME", "/home/u"}},
          .files = {{CONFIG, "[default]\ncredential_process = /bin/false\n"}}},
         "A0303",
         "failed"},
        {{.env = {{"HOME", "/home/u"}},
          .files = {{CONFIG, "[default]\ncredential_process = 'open\n"}}},
         "A0303",
         "words"},
        {{.env = {{"AWS_EC2_METADATA_DISABLED", "true"}}}, "A0302", "no credentials"},
        {{.env = {{"AWS_PROFILE", "none"}}}, "A0341", "none"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world world = cases[i].world;
        struct error err = {0};
        char key[64];
        if (fetch(&world, key, &err) || strcmp(err.code, cases[i].code) != 0 ||
            !strstr(err.message, cases[i].part))
            fail_msg("case %zu: %s %s", i, err.code, err.message);
    }
}

static void test_credentials__a_process_is_split_into_words_without_a_shell(void **state)
{
    (void)state;
    struct world world = {
        .env = {{"HOME", "/home/u"}},
        .files = {{CONFIG, "[default]\ncredential_process = /bin/echo '{\"Version\": 1,' "
                           "\"\\\"AccessKeyId\\\": \\\"PROC;$HOME\\\",\" "
                           "'\"SecretAccessKey\": \"s\"}'\n"}}};
    struct error err = {0};
    char key[64];
    if (!fetch(&world, key, &err))
        fail_msg("%s", err.message);
    assert_string_equal(key, "PROC;$HOME");
}

static void test_credentials__a_configuration_error_does_not_show_the_line(void **state)
{
    (void)state;
    struct arena arena ARENA_AUTO = {0};
    struct aws_config config;
    struct error err;
    assert_false(aws_config_parse(STR("[default]\naws_secret_access_key hunter2\n"), "config",
                                  (struct str){0}, "credentials", &arena, &config, &err));
    assert_string_equal(err.code, "A0340");
    assert_int_equal(err.line, 2);
    assert_string_equal(err.file, "config");
    assert_null(strstr(err.message, "hunter2"));
    assert_string_equal(err.source_line, "");
}

int main(void)
{
    struct error err;
    const char *dir = getenv("RECTIFY_MODELS");
    struct aws_models *models = aws_models_open(dir ? dir : TEST_MODELS, &err);
    if (!models) {
        printf("skipped: %s\n", err.message);
        return 77;
    }
    aws_models_close(models);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_credentials__the_first_provider_that_is_configured_wins),
        cmocka_unit_test(test_credentials__what_is_configured_and_broken_ends_the_chain),
        cmocka_unit_test(test_credentials__a_process_is_split_into_words_without_a_shell),
        cmocka_unit_test(test_credentials__a_configuration_error_does_not_show_the_line),
    };
    return cmocka_run_group_tests_name("credentials", tests, NULL, NULL);
}
