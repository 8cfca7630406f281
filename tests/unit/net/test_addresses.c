// SPDX-License-Identifier: Apache-2.0
/* Which addresses are of the public Internet, and that a request that wants one goes to no other.
 */
#include "net/net_internal.h"

#include <arpa/inet.h>

#include "../cmocka_all.h"

static bool is_public(const char *text)
{
    struct address a = {0};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        memcpy(&a.bytes, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        memcpy(&a.bytes, &v6, sizeof v6);
    else
        fail_msg("%s", text);
    return address_is_public(&a);
}

static void test_address__special_ones_are_not_public(void **state)
{
    static const char *const special[] = {"0.0.0.0",
                                          "10.1.2.3",
                                          "100.64.0.1",
                                          "100.127.255.255",
                                          "127.0.0.1",
                                          "169.254.169.254",
                                          "172.16.0.1",
                                          "172.31.255.255",
                                          "192.0.0.8",
                                          "192.168.1.1",
                                          "198.18.0.1",
                                          "198.19.255.255",
                                          "203.0.113.9",
                                          "224.0.0.1",
                                          "240.0.0.1",
                                          "255.255.255.255",
                                          "::",
                                          "::1",
                                          "::ffff:10.0.0.1",
                                          "::ffff:169.254.169.254",
                                          "64:ff9b::a9fe:a9fe",
                                          "2002:a9fe:a9fe::1",
                                          "2002:7f00:1::",
                                          "fc00::1",
                                          "fd00:ec2::254",
                                          "fe80::1",
                                          "ff02::1",
                                          "2001:db8::1",
                                          "2001::1",
                                          "fec0::1"};
    static const char *const ordinary[] = {
        "1.1.1.1",        "9.255.255.255",  "11.0.0.0",        "100.63.255.255",  "100.128.0.0",
        "172.15.255.255", "172.32.0.0",     "192.167.255.255", "223.255.255.255", "2600:1f00::1",
        "2a00:1450::1",   "::ffff:8.8.8.8", "64:ff9b::808:808"};
    (void)state;
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (is_public(special[i]))
            fail_msg("%s counts as public", special[i]);
    for (size_t i = 0; i < sizeof ordinary / sizeof *ordinary; i++)
        if (!is_public(ordinary[i]))
            fail_msg("%s does not count as public", ordinary[i]);
}

static void test_address__case_60_a_name_of_this_machine_is_not_asked(void **state)
{
    static const char *const urls[] = {"http://127.0.0.1:1/", "http://localhost:1/",
                                       "http://[::1]:1/", "http://169.254.169.254/latest"};
    struct net_options options = {.clock = clock_system()};
    struct error err;
    struct net *net = net_create(&options, &err);
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct arena arena ARENA_AUTO = {0};
        struct net_answer answer;
        struct net_request request = {.method = STR("GET"),
                                      .url = str_from(urls[i]),
                                      .deadline_ms = clock_steady_ms(clock_system()) + 3000,
                                      .public_only = true};
        net_request(net, &request, &arena, &answer);
        assert_int_equal(answer.outcome, NET_NOT_SENT);
        if (!strstr(answer.reason, "not a public one"))
            fail_msg("%s: %s", urls[i], answer.reason);
    }
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address__special_ones_are_not_public),
        cmocka_unit_test(test_address__case_60_a_name_of_this_machine_is_not_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
