// SPDX-License-Identifier: Apache-2.0
/* The program as a function's bootstrap, behind the smallest runtime API: it starts with a folder
 * of policies, answers a tick, and ends when the API does. All else: tests/cloud/test_lambda.py. */
#include "../cmocka_all.h"

#include "net/stub.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char tick[] = "{\"source\":\"aws.events\",\"detail-type\":\"Scheduled Event\"}";

struct api {
    unsigned nexts;
    char said[2][2000]; // path and body: the tick's response or error, the start's error
};

static bool is_path(const struct stub_request *request, const char *path)
{
    return str_find(request->head, str_from(path)) != SIZE_MAX;
}

static bool answer(void *ctx, const struct stub_request *request)
{
    struct api *api = ctx;
    if (is_path(request, "GET /2018-06-01/runtime/invocation/next "))
        return ++api->nexts == 1 ? stub_reply(request, 200,
                                              "Lambda-Runtime-Aws-Request-Id: one\r\n"
                                              "Lambda-Runtime-Deadline-Ms: 1\r\n",
                                              str_from(tick))
                                 : stub_reply(request, 500, "", STR("{}"));
    bool start = is_path(request, "/runtime/init/error ");
    snprintf(api->said[start], sizeof api->said[start], "%.*s",
             STR_FMT(is_path(request, "/invocation/one/response ") || start ? request->body
                                                                            : request->head));
    return stub_reply(request, 202, "", STR("{}"));
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info, (void)kind, (void)place;
    return remove(path);
}

/* Runs the program to its end; its exit code. `store` NULL: none is said. */
static int run(struct api *api, const char *store)
{
    int status = 0;
    char address[64], state[] = "/tmp/rectify-start-XXXXXX";
    struct stub *stub = stub_start(answer, api);
    assert_non_null(mkdtemp(state));
    snprintf(address, sizeof address, "127.0.0.1:%d", stub_port(stub));
    pid_t pid = fork();
    if (pid == 0) {
        setenv("AWS_LAMBDA_RUNTIME_API", address, 1);
        setenv("RECTIFY_STATE", state, 1);
        setenv("RECTIFY_POLICIES", RECTIFY_POLICIES_DIR, 1);
        setenv("RECTIFY_MODELS", RECTIFY_MODELS_DIR, 1);
        setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
        unsetenv("RECTIFY_STORE");
        if (store && (chdir(state) != 0 || setenv("RECTIFY_STORE", store, 1) != 0))
            _exit(99);
        alarm(60);
        execl(RECTIFY, RECTIFY, (char *)NULL);
        _exit(99);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    stub_stop(stub);
    assert_int_equal(nftw(state, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_start__a_tick_is_answered(void **state)
{
    (void)state;
    struct api api = {0};
    assert_int_equal(run(&api, "rectify.db"), 1); // as the API fails then
    assert_string_equal(api.said[1], "");
    assert_string_equal(api.said[0], "{\"scans\":0,\"steps\":0}");
    assert_int_equal(api.nexts, 2);
}

static void test_start__without_a_store_it_says_why_it_does_not(void **state)
{
    (void)state;
    struct api api = {0};
    assert_int_equal(run(&api, NULL), 1);
    assert_true(str_find(str_from(api.said[1]), STR("L0016")) != SIZE_MAX);
    assert_int_equal(api.nexts, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start__a_tick_is_answered),
        cmocka_unit_test(test_start__without_a_store_it_says_why_it_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
