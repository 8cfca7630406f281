// SPDX-License-Identifier: Apache-2.0
/* The HTTP client against servers that behave, misbehave and vanish. */
#include "../cmocka_all.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "net/net.h"
#include "stub.h"

struct fixture {
    struct net *net;
    struct stub *stub;
    struct arena arena;
    char url[128];
};

static struct fixture setup_with(stub_answer *answer, void *ctx)
{
    struct fixture f = {0};
    struct net_options options = {.clock = clock_system()};
    struct error err;
    f.net = net_create(&options, &err);
    assert_non_null(f.net);
    f.stub = stub_start(answer, ctx);
    snprintf(f.url, sizeof(f.url), "http://127.0.0.1:%d/a/../b?x=%%20", stub_port(f.stub));
    return f;
}

static void teardown(struct fixture *f)
{
    net_destroy(f->net);
    stub_stop(f->stub);
    arena_finish(&f->arena);
}

static struct net_answer send_request(struct fixture *f, const char *method, struct str body,
                                      int64_t timeout_ms)
{
    struct net_request request = {.method = str_from(method),
                                  .url = str_from(f->url),
                                  .body = body,
                                  .deadline_ms = clock_steady_ms(clock_system()) + timeout_ms};
    struct net_answer answer;
    net_request(f->net, &request, &f->arena, &answer);
    return answer;
}

static bool echo(void *ctx, const struct stub_request *request)
{
    (void)ctx;
    char *text = malloc(request->head.len + request->body.len + 1);
    memcpy(text, request->head.ptr, request->head.len);
    if (request->body.len)
        memcpy(text + request->head.len, request->body.ptr, request->body.len);
    bool ok = stub_reply(request, 200, "X-One:  a b \r\nx-empty:\r\n",
                         (struct str){text, request->head.len + request->body.len});
    free(text);
    return ok;
}

static void test_net__path_is_sent_as_is_with_headers_and_body(void **state)
{
    (void)state;
    struct fixture f = setup_with(echo, NULL);
    struct net_header headers[] = {{STR("x-mine"), STR("v")}, {STR("x-none"), {0}}};
    struct net_request request = {.method = STR("PUT"),
                                  .url = str_from(f.url),
                                  .headers = headers,
                                  .header_count = 2,
                                  .body = STR("payload"),
                                  .deadline_ms = clock_steady_ms(clock_system()) + 5000};
    struct net_answer answer;
    net_request(f.net, &request, &f.arena, &answer);
    assert_int_equal(answer.outcome, NET_ANSWERED);
    assert_int_equal(answer.status, 200);
    assert_true(str_starts(answer.body, STR("PUT /a/../b?x=%20 HTTP/1.1\r\n")));
    assert_true(str_find(answer.body, STR("\r\nx-mine: v\r\n")) != SIZE_MAX);
    assert_true(str_find(answer.body, STR("\r\nx-none:\r\n")) != SIZE_MAX);
    assert_true(str_find(answer.body, STR("Content-Length: 7\r\n")) != SIZE_MAX);
    assert_true(str_find(answer.body, STR("Content-Type")) == SIZE_MAX);
    assert_true(str_find(answer.body, STR("Expect")) == SIZE_MAX);
    assert_true(str_ends(answer.body, STR("\r\n\r\npayload")));
    assert_true(str_is(net_answer_header(&answer, STR("x-ONE")), "a b"));
    assert_int_equal(net_answer_header(&answer, STR("x-missing")).len, 0);
    teardown(&f);
}

static void test_net__methods_keep_their_shape_when_handles_are_used_again(void **state)
{
    (void)state;
    struct fixture f = setup_with(echo, NULL);
    static const struct {
        const char *method, *body, *has, *has_not;
    } cases[] = {
        {"PUT", "x", "PUT ", "Transfer-Encoding"},   {"GET", "", "GET ", "Content-Length"},
        {"POST", "", "Content-Length: 0", "PUT "},   {"DELETE", "", "DELETE ", "Content-Length"},
        {"PATCH", "abc", "Content-Length: 3", "x-"}, {"POST", "q=1", "POST ", "Content-Type"},
        {"DELETE", "z", "Content-Length: 1", "GET"}, {"GET", "", "GET ", "DELETE"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct net_answer answer = send_request(&f, cases[i].method, str_from(cases[i].body), 5000);
        assert_int_equal(answer.outcome, NET_ANSWERED);
        assert_true(str_find(answer.body, str_from(cases[i].has)) != SIZE_MAX);
        assert_true(str_find(answer.body, str_from(cases[i].has_not)) == SIZE_MAX);
    }
    struct net_answer answer = send_request(&f, "HEAD", (struct str){0}, 5000);
    assert_int_equal(answer.outcome, NET_ANSWERED);
    assert_int_equal(answer.body.len, 0);
    assert_int_equal(stub_connections(f.stub), 1);
    teardown(&f);
}

static void test_net__line_breaks_in_headers_are_refused(void **state)
{
    (void)state;
    struct fixture f = setup_with(echo, NULL);
    struct net_header bad = {STR("x-a"), STR("v\r\nx-b: w")};
    struct net_request request = {.method = STR("GET"),
                                  .url = str_from(f.url),
                                  .headers = &bad,
                                  .header_count = 1,
                                  .deadline_ms = clock_steady_ms(clock_system()) + 5000};
    struct net_answer answer;
    net_request(f.net, &request, &f.arena, &answer);
    assert_int_equal(answer.outcome, NET_NOT_SENT);
    request.header_count = 0;
    request.url = STR("http://127.0.0.1/\nx");
    net_request(f.net, &request, &f.arena, &answer);
    assert_int_equal(answer.outcome, NET_NOT_SENT);
    assert_int_equal(stub_requests(f.stub), 0);
    teardown(&f);
}

static bool gate_no(void *ctx, char *reason, size_t size)
{
    (*(int *)ctx)++;
    snprintf(reason, size, "kill switch");
    return false;
}

static bool gate_yes(void *ctx, char *reason, size_t size)
{
    (void)reason, (void)size;
    (*(int *)ctx)++;
    return true;
}

static void test_net__a_closed_gate_lets_nothing_out(void **state)
{
    (void)state;
    struct fixture f = setup_with(echo, NULL);
    int asked = 0;
    struct net_request request = {.method = STR("POST"),
                                  .url = str_from(f.url),
                                  .deadline_ms = clock_steady_ms(clock_system()) + 5000,
                                  .gate = gate_no,
                                  .gate_ctx = &asked};
    struct net_answer answer;
    net_request(f.net, &request, &f.arena, &answer);
    assert_int_equal(answer.outcome, NET_GATED);
    assert_string_equal(answer.reason, "kill switch");
    assert_int_equal(asked, 1);
    request.gate = gate_yes;
    net_request(f.net, &request, &f.arena, &answer);
    assert_int_equal(answer.outcome, NET_ANSWERED);
    assert_int_equal(asked, 2);
    assert_int_equal(stub_requests(f.stub), 1);
    teardown(&f);
}

static void test_net__nobody_listening_is_not_sent(void **state)
{
    (void)state;
    struct fixture f = setup_with(echo, NULL);
    int probe = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(probe, (struct sockaddr *)&address, size), 0);
    getsockname(probe, (struct sockaddr *)&address, &size);
    snprintf(f.url, sizeof(f.url), "http://127.0.0.1:%d/", ntohs(address.sin_port));
    struct net_answer answer = send_request(&f, "POST", STR("x"), 5000);
    assert_int_equal(answer.outcome, NET_NOT_SENT);
    assert_true(answer.reason[0]);
    close(probe);
    snprintf(f.url, sizeof(f.url), "http://no-such-host.invalid/");
    answer = send_request(&f, "POST", STR("x"), 5000);
    assert_int_equal(answer.outcome, NET_NOT_SENT);
    snprintf(f.url, sizeof(f.url), "ftp://127.0.0.1/");
    answer = send_request(&f, "GET", STR(""), 5000);
    assert_int_equal(answer.outcome, NET_NOT_SENT);
    snprintf(f.url, sizeof(f.url), "https://127.0.0.1:%d/", stub_port(f.stub));
    answer = send_request(&f, "GET", STR(""), 300); // no TLS spoken there
    assert_int_equal(answer.outcome, NET_NOT_SENT);
    teardown(&f);
}

static void test_net__a_deadline_in_the_past_is_not_sent(void **state)
{
    (void)state;
    struct fixture f = setup_with(echo, NULL);
    struct net_answer answer = send_request(&f, "POST", STR("x"), -1);
    assert_int_equal(answer.outcome, NET_NOT_SENT);
    assert_int_equal(stub_requests(f.stub), 0);
    teardown(&f);
}

/* ---- servers that misbehave ---- */

#define SEND(fd, literal) stub_write((fd), literal, sizeof(literal) - 1)

static bool cut(void *ctx, const struct stub_request *request)
{
    (void)ctx, (void)request;
    return false;
}
static bool cut_in_body(void *ctx, const struct stub_request *request)
{
    (void)ctx;
    SEND(request->fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    return false;
}
static bool garbled(void *ctx, const struct stub_request *request)
{
    (void)ctx;
    SEND(request->fd, "\x16\x03\x01 what is this\r\n\r\n");
    return false;
}
static bool silent(void *ctx, const struct stub_request *request)
{
    (void)ctx, (void)request;
    return true;
}
static bool endless_body(void *ctx, const struct stub_request *request)
{
    (void)ctx;
    static const char chunk[65536];
    SEND(request->fd, "HTTP/1.1 200 OK\r\n\r\n");
    while (stub_write(request->fd, chunk, sizeof(chunk)))
        ;
    return false;
}
static bool endless_headers(void *ctx, const struct stub_request *request)
{
    (void)ctx;
    SEND(request->fd, "HTTP/1.1 200 OK\r\n");
    while (SEND(request->fd, "X-More: and more\r\n"))
        ;
    return false;
}
static bool endless_interim(void *ctx, const struct stub_request *request)
{
    (void)ctx;
    while (SEND(request->fd, "HTTP/1.1 100 Continue\r\n\r\n"))
        ;
    return false;
}
static bool huge_length(void *ctx, const struct stub_request *request)
{
    (void)ctx;
    SEND(request->fd, "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\nabc");
    return true;
}
static bool redirects(void *ctx, const struct stub_request *request)
{
    (void)ctx;
    return stub_reply(request, 301, "Location: http://127.0.0.1:1/\r\n", STR("moved"));
}
static bool drips(void *ctx, const struct stub_request *request)
{
    (void)ctx;
    SEND(request->fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    while (SEND(request->fd, "x"))
        usleep(20000);
    return false;
}

static void test_net__bad_servers_end_in_bounded_time_with_a_clear_outcome(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        stub_answer *answer;
        enum net_outcome outcome;
    } cases[] = {
        {"cut", cut, NET_UNKNOWN},
        {"cut in body", cut_in_body, NET_UNKNOWN},
        {"garbled", garbled, NET_UNKNOWN},
        {"silent", silent, NET_UNKNOWN},
        {"drips", drips, NET_UNKNOWN},
        {"endless body", endless_body, NET_TOO_LARGE},
        {"endless headers", endless_headers, NET_TOO_LARGE},
        {"endless interim", endless_interim, NET_TOO_LARGE},
        {"huge length", huge_length, NET_TOO_LARGE},
        {"redirect", redirects, NET_ANSWERED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f = setup_with(cases[i].answer, NULL);
        int64_t start_ms = clock_steady_ms(clock_system());
        /* Those that never end get little time, those that end by themselves enough. */
        bool waits =
            cases[i].answer == silent || cases[i].answer == drips || cases[i].answer == huge_length;
        struct net_answer answer = send_request(&f, "POST", STR("x"), waits ? 300 : 10000);
        int64_t took_ms = clock_steady_ms(clock_system()) - start_ms;
        if (answer.outcome != cases[i].outcome || took_ms > 9000)
            fail_msg("%s: outcome %d (%s) after %ld ms", cases[i].name, (int)answer.outcome,
                     answer.reason, (long)took_ms);
        assert_true(answer.outcome == NET_ANSWERED || answer.reason[0]);
        assert_int_equal(stub_requests(f.stub), 1);
        teardown(&f);
    }
}

static bool exact_size(void *ctx, const struct stub_request *request)
{
    size_t size = *(size_t *)ctx;
    char *body = calloc(1, size);
    bool ok = stub_reply(request, 200, "", (struct str){body, size});
    free(body);
    return ok;
}

static void test_net__an_answer_at_the_limit_passes_and_one_byte_more_does_not(void **state)
{
    (void)state;
    size_t size = LIMIT_ANSWER_BYTES;
    struct fixture f = setup_with(exact_size, &size);
    struct net_answer answer = send_request(&f, "GET", STR(""), 10000);
    assert_int_equal(answer.outcome, NET_ANSWERED);
    assert_int_equal(answer.body.len, LIMIT_ANSWER_BYTES);
    size++;
    answer = send_request(&f, "GET", STR(""), 10000);
    assert_int_equal(answer.outcome, NET_TOO_LARGE);
    teardown(&f);
}

/* Answers the first request of each connection and closes it when the second arrives, which is how
 * a server looks whose idle time-out is just over. */
static bool second_is_cut(void *ctx, const struct stub_request *request)
{
    (void)ctx;
    return request->number != 2 && stub_reply(request, 200, "", STR("ok"));
}

static void test_net__a_cut_kept_connection_repeats_reads_but_never_writes(void **state)
{
    (void)state;
    struct fixture f = setup_with(second_is_cut, NULL);
    assert_int_equal(send_request(&f, "POST", STR("a"), 5000).outcome, NET_ANSWERED);
    assert_int_equal(send_request(&f, "POST", STR("b"), 5000).outcome, NET_UNKNOWN);
    assert_int_equal(stub_requests(f.stub), 2);
    teardown(&f);
    f = setup_with(second_is_cut, NULL);
    assert_int_equal(send_request(&f, "GET", STR(""), 5000).outcome, NET_ANSWERED);
    assert_int_equal(send_request(&f, "GET", STR(""), 5000).outcome, NET_ANSWERED);
    assert_int_equal(stub_requests(f.stub), 3);
    teardown(&f);
}

static bool closes_after(void *ctx, const struct stub_request *request)
{
    (void)ctx;
    stub_reply(request, 200, "", STR("ok"));
    return false;
}

static void test_net__a_connection_closed_while_idle_is_replaced(void **state)
{
    (void)state;
    struct fixture f = setup_with(closes_after, NULL);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(send_request(&f, "POST", STR("a"), 5000).outcome, NET_ANSWERED);
        usleep(5000);
    }
    assert_int_equal(stub_requests(f.stub), 5);
    teardown(&f);
}

static void test_net__unix_sockets_are_spoken_to(void **state)
{
    (void)state;
    struct fixture f = setup_with(echo, NULL);
    char path[64];
    snprintf(path, sizeof(path), "/tmp/rectify-net-%d.sock", (int)getpid());
    unlink(path);
    struct stub *stub = stub_start_unix(path, echo, NULL);
    struct net_request request = {.method = STR("GET"),
                                  .url = STR("http://localhost/x"),
                                  .unix_socket = str_from(path),
                                  .deadline_ms = clock_steady_ms(clock_system()) + 5000};
    struct net_answer answer;
    net_request(f.net, &request, &f.arena, &answer);
    assert_int_equal(answer.outcome, NET_ANSWERED);
    assert_int_equal(stub_requests(stub), 1);
    /* The same handle speaks TCP again. */
    assert_int_equal(send_request(&f, "GET", STR(""), 5000).outcome, NET_ANSWERED);
    assert_int_equal(stub_requests(f.stub), 1);
    unlink(path);
    teardown(&f);
    stub_stop(stub);
}

/* ---- many threads ---- */

struct worker {
    struct fixture *f;
    int failures, rounds;
    unsigned seed;
};

static void *work(void *arg)
{
    struct worker *worker = arg;
    for (int i = 0; i < worker->rounds; i++) {
        struct arena arena ARENA_AUTO = {0};
        char body[32];
        int size = snprintf(body, sizeof(body), "<%u-%d>", worker->seed, i);
        struct net_request request = {.method = STR("POST"),
                                      .url = str_from(worker->f->url),
                                      .body = {body, (size_t)size},
                                      .deadline_ms = clock_steady_ms(clock_system()) + 20000};
        struct net_answer answer;
        net_request(worker->f->net, &request, &arena, &answer);
        bool ok = answer.outcome == NET_ANSWERED &&
                  str_ends(answer.body, (struct str){body, (size_t)size});
        worker->failures += !ok;
    }
    return NULL;
}

static void test_net__sixty_four_threads_each_get_their_own_answer(void **state)
{
    (void)state;
    struct fixture f = setup_with(echo, NULL);
    pthread_t threads[64];
    struct worker workers[64];
    for (unsigned i = 0; i < 64; i++) {
        workers[i] = (struct worker){.f = &f, .seed = i, .rounds = 40};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    int failures = 0;
    for (int i = 0; i < 64; i++) {
        pthread_join(threads[i], NULL);
        failures += workers[i].failures;
    }
    assert_int_equal(failures, 0);
    assert_int_equal(stub_requests(f.stub), 64 * 40);
    assert_true(stub_connections(f.stub) <= 64);
    teardown(&f);
}

static void *wait_for_silence(void *arg)
{
    struct fixture *f = arg;
    struct arena arena ARENA_AUTO = {0};
    struct net_request request = {.method = STR("POST"),
                                  .url = str_from(f->url),
                                  .deadline_ms = clock_steady_ms(clock_system()) + 30000};
    struct net_answer answer;
    net_request(f->net, &request, &arena, &answer);
    return (void *)(intptr_t)answer.outcome;
}

static void test_net__destroying_cancels_what_is_under_way(void **state)
{
    (void)state;
    struct fixture f = setup_with(silent, NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_silence, &f), 0);
    while (stub_requests(f.stub) < 4)
        usleep(1000);
    int64_t start_ms = clock_steady_ms(clock_system());
    net_destroy(f.net);
    assert_true(clock_steady_ms(clock_system()) - start_ms < 700); // woken, not found out
    for (int i = 0; i < 4; i++) {
        void *outcome;
        pthread_join(threads[i], &outcome);
        assert_int_equal((intptr_t)outcome, NET_CANCELLED);
    }
    f.net = NULL;
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_net__path_is_sent_as_is_with_headers_and_body),
        cmocka_unit_test(test_net__methods_keep_their_shape_when_handles_are_used_again),
        cmocka_unit_test(test_net__line_breaks_in_headers_are_refused),
        cmocka_unit_test(test_net__a_closed_gate_lets_nothing_out),
        cmocka_unit_test(test_net__nobody_listening_is_not_sent),
        cmocka_unit_test(test_net__a_deadline_in_the_past_is_not_sent),
        cmocka_unit_test(test_net__bad_servers_end_in_bounded_time_with_a_clear_outcome),
        cmocka_unit_test(test_net__an_answer_at_the_limit_passes_and_one_byte_more_does_not),
        cmocka_unit_test(test_net__a_cut_kept_connection_repeats_reads_but_never_writes),
        cmocka_unit_test(test_net__a_connection_closed_while_idle_is_replaced),
        cmocka_unit_test(test_net__unix_sockets_are_spoken_to),
        cmocka_unit_test(test_net__sixty_four_threads_each_get_their_own_answer),
        cmocka_unit_test(test_net__destroying_cancels_what_is_under_way),
    };
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
