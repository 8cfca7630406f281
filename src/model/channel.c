// SPDX-License-Identifier: Apache-2.0
/* Names of what is told and of the kinds of channels. */
#include "model/channel.h"

static const char *const words[] = {
#define TELLING_WORD(name, word, meaning) [TELLING_##name] = word,
    TELLINGS(TELLING_WORD)
#undef TELLING_WORD
};

const char *telling_word(enum telling telling)
{
    return words[telling];
}

bool telling_parse(struct str word, enum telling *ret)
{
    for (unsigned i = 0; i < TELLING_COUNT; i++) {
        if (!str_is(word, words[i]))
            continue;
        *ret = (enum telling)i;
        return true;
    }
    return false;
}

static const char *const kinds[] = {[CHANNEL_SLACK] = "slack",
                                    [CHANNEL_JIRA] = "jira",
                                    [CHANNEL_WEBHOOK] = "webhook",
                                    [CHANNEL_SNS] = "sns",
                                    [CHANNEL_PAGERDUTY] = "pagerduty"};

const char *channel_kind_name(enum channel_kind kind)
{
    return kinds[kind];
}

bool channel_kind_parse(struct str name, enum channel_kind *ret)
{
    for (unsigned i = 0; i < CHANNEL_KIND_COUNT; i++) {
        if (!str_is(name, kinds[i]))
            continue;
        *ret = (enum channel_kind)i;
        return true;
    }
    return false;
}
