// SPDX-License-Identifier: Apache-2.0
/* Any bytes as an HTTP answer, in pieces whose size the first byte says: the reader ends, within
 * its limits, and what it shows lies in memory that it owns. */
#include <stdint.h>
#include <stdlib.h>

#include "base/ensure.h"
#include "base/limits.h"
#include "net/net_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct feed {
    const uint8_t *data;
    size_t left, piece;
};

static ssize_t give(void *ctx, void *data, size_t size)
{
    struct feed *feed = ctx;
    size_t n = feed->left < feed->piece ? feed->left : feed->piece;
    n = n < size ? n : size;
    if (n)
        memcpy(data, feed->data, n);
    feed->data += n;
    feed->left -= n;
    return (ssize_t)n;
}

static uint64_t sum(struct str s)
{
    uint64_t total = 0;
    for (size_t i = 0; i < s.len; i++)
        total += (unsigned char)s.ptr[i];
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct arena arena = {.size_max = 64u << 20};
    struct feed feed = {data + 1, size - 1, data[0] % 128 ? data[0] % 128 : SIZE_MAX};
    struct answer_source source = {give, &feed};
    struct net_answer answer = {0};
    bool keep = false;
    volatile uint64_t total = 0;
    enum answer_result result = answer_read(source, data[0] & 128, &arena, &answer, &keep);
    if (result == ANSWER_WHOLE) {
        ENSURE(answer.status >= 200 && answer.status <= 999);
        ENSURE(answer.body.len <= LIMIT_ANSWER_BYTES);
        ENSURE(!(data[0] & 128) || answer.body.len == 0);
        for (size_t i = 0; i < answer.header_count; i++)
            total = total + sum(answer.headers[i].name) + sum(answer.headers[i].value);
        total = total + sum(answer.body);
    }
    arena_finish(&arena);
    return 0;
}
