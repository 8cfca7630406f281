// SPDX-License-Identifier: Apache-2.0
/* A line of the log is one line, whatever is in it. */
#include "../cmocka_all.h"

#include "base/log.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is written to standard error for `text`. */
static void logged(const char *text, char *ret, size_t size)
{
    int ends[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    log_line(LOG_WARN, "%s", text);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    ssize_t len = read(ends[0], ret, size - 1);
    close(ends[0]);
    assert_true(len > 0);
    ret[len] = '\0';
}

static void expect_message(const char *text, const char *want)
{
    char line[4096];
    logged(text, line, sizeof line);
    const char *end = strchr(line, '\n');
    assert_ptr_equal(end, line + strlen(line) - 1); // one, and it ends it
    if (!strstr(line, want))
        fail_msg("%s is not in %s", want, line);
    for (struct str rest = {line, strlen(line) - 1}; rest.len; rest = str_sub(rest, 1, SIZE_MAX))
        assert_int_equal(str_hidden(rest), 0);
}

static const char odd[] = "a\nb\r\x1b[31mc\xe2\x80\xae"
                          "d\xc2\x9b"
                          "e\x7f\xc3\xa9\"\\";

static void test_log__case_64_a_line_stays_one_line(void **state)
{
    (void)state;
    expect_message(odd, "warn a\\x0ab\\x0d\\x1b[31mc\\xe2\\x80\\xaed\\xc2\\x9be\\x7f\xc3\xa9\"\\");
    expect_message("not \xff UTF-8", "warn not \xff UTF-8");
}

static void test_log__case_64_in_json_too(void **state)
{
    (void)state;
    log_set_json();
    expect_message(
        odd,
        "\"message\":\"a\\u000ab\\u000d\\u001b[31mc\\u202ed\\u009be\\u007f\xc3\xa9\\\"\\\\\"}");
    expect_message("not \xff UTF-8", "\"message\":\"not \\u00ff UTF-8\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log__case_64_a_line_stays_one_line),
        cmocka_unit_test(test_log__case_64_in_json_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
