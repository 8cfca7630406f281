// SPDX-License-Identifier: Apache-2.0
/* RE2 behind a C interface. The only C++ of the program. No exception leaves: RE2 throws none and
 * allocation failure ends in a NULL or in "no match" for constructing and in abort() inside RE2
 * itself for matching, which its own memory bound (max_mem) keeps away. Any thread may match with
 * one regex. */
#include <re2/re2.h>

#include <algorithm>
#include <cstdio>
#include <new>

#include "cel/regex.h"

struct regex {
    re2::RE2 re;
    regex(re2::StringPiece pattern, const re2::RE2::Options &options) : re(pattern, options) {}
};

extern "C" struct regex *regex_create(const char *pattern, size_t len, char *ret_message,
                                      size_t size)
{
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(1 << 20);
    regex *created = new (std::nothrow) regex(re2::StringPiece(pattern, len), options);
    if (!created) {
        snprintf(ret_message, size, "out of memory");
        return nullptr;
    }
    if (created->re.ok())
        return created;
    snprintf(ret_message, size, "%s", created->re.error().c_str());
    delete created;
    return nullptr;
}

extern "C" void regex_destroy(const struct regex *regex)
{
    delete regex;
}

extern "C" bool regex_matches(const struct regex *regex, const char *text, size_t len)
{
    return regex->re.Match(re2::StringPiece(text, len), 0, len, re2::RE2::UNANCHORED, nullptr, 0);
}

extern "C" int regex_groups(const struct regex *regex)
{
    return regex->re.NumberOfCapturingGroups();
}

extern "C" bool regex_find(const struct regex *regex, const char *text, size_t len, size_t from,
                           ptrdiff_t *ret_spans, int group_max)
{
    re2::StringPiece groups[REGEX_GROUPS_MAX];
    group_max = std::min(group_max, REGEX_GROUPS_MAX);
    int count = std::min(group_max, regex->re.NumberOfCapturingGroups() + 1);
    if (!regex->re.Match(re2::StringPiece(text, len), from, len, re2::RE2::UNANCHORED, groups,
                         count))
        return false;
    for (int i = 0; i < group_max; i++) {
        bool set = i < count && groups[i].data();
        ret_spans[2 * i] = set ? groups[i].data() - text : -1;
        ret_spans[2 * i + 1] = set ? groups[i].data() + groups[i].size() - text : -1;
    }
    return true;
}
