// SPDX-License-Identifier: Apache-2.0
/* What comes in over channels. The first byte chooses: what Slack sends (with a right signature, so
 * that the parser is reached), a webhook's body, Jira's hint, or headers and body as they are. What
 * is understood has all that an answer takes, and nothing is understood that is not signed. */
#include "approve/approve.h"

#include "base/ensure.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_MS INT64_C(1790000000000)
#define SECRET "fuzzing-secret"

static struct channel channels[] = {
    {.name = {"slack", 5},
     .kind = CHANNEL_SLACK,
     .to = {"C1", 2},
     .team = {"T1", 2},
     .app = {"A1", 2},
     .secret = {.env = {"FUZZ_SECRET", 11}},
     .may_decide = true},
    {.name = {"hook", 4}, .kind = CHANNEL_WEBHOOK, .secret = {.env = {"FUZZ_HOOK", 9}}},
    {.name = {"jira", 4}, .kind = CHANNEL_JIRA},
};

static void check(const struct approve_said *said)
{
    if (said->kind != APPROVE_ANSWER && said->kind != APPROVE_REASON)
        return;
    ENSURE(said->id > 0 && said->ask.len == 32 && said->plan_hash.len == 64);
    ENSURE(said->identity.len > 6 && said->reason.len <= 2000);
    ENSURE(said->kind == APPROVE_ANSWER || !said->yes);
}

static bool read_signed(struct str body, struct arena *arena, struct approve_said *said)
{
    struct error err;
    char hex[65];
    struct str text = STR_JOIN(arena, STR("v0:1790000000:"), body);
    struct sha256 mac = hash_hmac_sha256(STR(SECRET), text);
    hash_hex(mac.bytes, sizeof mac.bytes, hex);
    struct approve_header headers[] = {
        {STR("X-Slack-Request-Timestamp"), STR("1790000000")},
        {STR("x-slack-signature"), STR_JOIN(arena, STR("v0="), str_from(hex))}};
    return approve_read(&channels[0], headers, 2, body, NOW_MS, arena, said, &err);
}

/* NAME NUL VALUE NUL, at most six times, then the body. */
static bool read_raw(struct str rest, unsigned which, struct arena *arena,
                     struct approve_said *said)
{
    struct approve_header headers[6];
    struct error err;
    size_t count = 0;
    while (count < 6 && str_find_byte(rest, '\0') != SIZE_MAX) {
        headers[count].name = str_cut(&rest, '\0');
        headers[count++].value = str_cut(&rest, '\0');
    }
    return approve_read(&channels[which % 3], headers, count, rest, NOW_MS, arena, said, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {.size_max = 64u << 20};
    struct approve_said said;
    struct error err;
    if (size < 1)
        return 0;
    setenv("FUZZ_SECRET", SECRET, 1);
    setenv("FUZZ_HOOK", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", 1);
    struct str body = str_copy(&arena, (struct str){(const char *)data + 1, size - 1});
    switch (data[0] % 4) {
    case 0:
        if (read_signed(body, &arena, &said))
            check(&said);
        break;
    case 1:
        if (approve_webhook_parse(body, &arena, &said, &err))
            check(&said);
        break;
    case 2:
        if (read_raw(body, 2, &arena, &said))
            ENSURE(said.kind == APPROVE_LOOK || said.kind == APPROVE_NONE);
        break;
    default: // nobody guesses a signature
        ENSURE(!read_raw(body, data[0] / 4 % 2, &arena, &said));
        break;
    }
    arena_finish(&arena);
    return 0;
}
