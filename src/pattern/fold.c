// SPDX-License-Identifier: Apache-2.0
/* equals-ignore-case. A character of the pattern matches itself, its lower case or its upper case,
 * by Unicode's full mappings without a language: a pattern's "ß" matches "SS" but not "ss", U+212A
 * (kelvin) matches "k", "k" does not match U+212A. So the relation is not an equivalence, and no
 * folding of both sides decides it; fold_text() only finds candidates: whatever a pattern matches
 * has the pattern's folded text. fold_table.py checks both when it writes the table. */
#include "pattern/pattern_internal.h"

/* UTF-8, NUL behind it. */
struct letter_cases {
    char lower[8], upper[8], fold[8];
};

#include "pattern/fold_table.h"

#define RUNS (sizeof fold_runs / sizeof *fold_runs)
#define SINGLES (sizeof fold_singles / sizeof *fold_singles)

static size_t sequence_length(char lead)
{
    unsigned char c = (unsigned char)lead;
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

static uint32_t decode(const char *p, size_t len)
{
    static const unsigned char masks[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t c = (unsigned char)p[0] & masks[len];
    for (size_t i = 1; i < len; i++)
        c = c << 6 | ((unsigned char)p[i] & 0x3Fu);
    return c;
}

static void encode(uint32_t c, char ret[8])
{
    static const unsigned char leads[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        ret[i] = (char)(0x80 | (c & 0x3F));
    ret[0] = (char)(leads[len] | c);
    ret[len] = '\0';
}

static bool find_single(uint32_t code_point, struct letter_cases *ret)
{
    size_t low = 0, high = SINGLES;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (fold_singles[middle].code_point < code_point)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == SINGLES || fold_singles[low].code_point != code_point)
        return false;
    *ret = fold_singles[low].cases;
    return true;
}

/* False: the code point has no case. Runs are sorted by their first; of every other code point one
 * of two runs that interleave may hold it, so that the last two that begin before it are asked. */
static bool find_cases(uint32_t code_point, struct letter_cases *ret)
{
    size_t low = 0, high = RUNS;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (fold_runs[middle].first <= code_point)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = low; i > 0 && i + FOLD_RUNS_DEEP > low; i--) {
        uint32_t from = code_point - fold_runs[i - 1].first;
        if (code_point > fold_runs[i - 1].last || from % fold_runs[i - 1].step)
            continue;
        encode(code_point + (uint32_t)fold_runs[i - 1].to_lower, ret->lower);
        encode(code_point + (uint32_t)fold_runs[i - 1].to_upper, ret->upper);
        encode(code_point + (uint32_t)fold_runs[i - 1].to_fold, ret->fold);
        return true;
    }
    return find_single(code_point, ret);
}

static char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool fold_is_ascii(struct str s)
{
    unsigned char any = 0;
    for (size_t i = 0; i < s.len; i++)
        any |= (unsigned char)s.ptr[i];
    return any < 0x80;
}

/* The lower case of eight bytes at once: bit 7 of a byte's sum says that it is at least 'A', or
 * more than 'Z'; a bit that both have, or that stood there before, is of no capital. */
static uint64_t lower_word(uint64_t word)
{
    const uint64_t ones = UINT64_MAX / 255, high = 0x80 * ones, low = word & ~high;
    uint64_t capitals = ((low + (0x80 - 'A') * ones) ^ (low + (0x7F - 'Z') * ones)) & ~word & high;
    return word | capitals >> 2;
}

/* Two halves of four bytes, which may overlap or follow each other. */
static uint64_t lower_halves(const char *from, char *out, size_t second)
{
    uint32_t halves[2];
    memcpy(&halves[0], from, sizeof halves[0]);
    memcpy(&halves[1], from + second, sizeof halves[1]);
    uint64_t word = halves[0] | (uint64_t)halves[1] << 32, lower = lower_word(word);
    halves[0] = (uint32_t)lower;
    halves[1] = (uint32_t)(lower >> 32);
    memcpy(out, &halves[0], sizeof halves[0]);
    memcpy(out + second, &halves[1], sizeof halves[1]);
    return word;
}

bool fold_ascii(struct str s, char *out)
{
    uint64_t any = 0;
    for (size_t i = 0; i + 8 < s.len; i += 8)
        any |= lower_halves(s.ptr + i, out + i, 4);
    if (s.len >= 4) { // what is left, and before it enough to make it eight or all there is
        size_t begin = s.len < 8 ? 0 : s.len - 8;
        any |= lower_halves(s.ptr + begin, out + begin, s.len < 8 ? s.len - 4 : 4);
        return !(any & 0x80 * (UINT64_MAX / 255));
    }
    for (size_t i = 0; i < s.len; i++) {
        out[i] = ascii_lower(s.ptr[i]);
        any |= (unsigned char)s.ptr[i];
    }
    return any < 0x80;
}

size_t fold_text(struct str s, char *out)
{
    if (fold_ascii(s, out))
        return s.len;
    size_t used = 0;
    for (size_t i = 0, step; i < s.len; i += step) {
        step = sequence_length(s.ptr[i]);
        struct letter_cases cases;
        if (step > 1 && find_cases(decode(s.ptr + i, step), &cases)) {
            size_t len = strlen(cases.fold);
            memcpy(out + used, cases.fold, len);
            used += len;
        } else if (step == 1) {
            out[used++] = ascii_lower(s.ptr[i]);
        } else {
            memcpy(out + used, s.ptr + i, step);
            used += step;
        }
    }
    return used;
}

/* The ways to spell the character of `step` bytes, more than one, at `p`. */
static unsigned spellings(const char *p, size_t step, struct letter_cases *room, struct str ret[3])
{
    ret[0] = (struct str){p, step};
    if (!find_cases(decode(p, step), room))
        return 1;
    ret[1] = str_from(room->lower);
    ret[2] = str_from(room->upper);
    return 3;
}

/* Bytes that the character of `step` bytes at `p` takes from the front (or the back) of `s`, or
 * SIZE_MAX. */
static size_t take_one(const char *p, size_t step, struct str s, bool back)
{
    struct letter_cases room;
    struct str ways[3];
    if (step == 1) {
        if (s.len == 0 || ascii_lower(s.ptr[back ? s.len - 1 : 0]) != ascii_lower(*p))
            return SIZE_MAX;
        return 1;
    }
    for (unsigned i = spellings(p, step, &room, ways); i > 0; i--)
        if (back ? str_ends(s, ways[i - 1]) : str_starts(s, ways[i - 1]))
            return ways[i - 1].len;
    return SIZE_MAX;
}

/* Bytes of `s` that `pattern` takes from its front (or its back), or SIZE_MAX. No spelling of a
 * character begins or ends with another of it, so the first that fits is the only one. */
static size_t take(struct str pattern, struct str s, bool back)
{
    size_t taken = 0;
    for (size_t done = 0, step; done < pattern.len; done += step) {
        const char *p = pattern.ptr + done;
        step = back ? 1 : sequence_length(*p);
        if (back) {
            while ((pattern.ptr[pattern.len - done - step] & 0xC0) == 0x80)
                step++;
            p = pattern.ptr + pattern.len - done - step;
        }
        struct str rest = {s.ptr + (back ? 0 : taken), s.len - taken};
        size_t found = take_one(p, step, rest, back);
        if (found == SIZE_MAX)
            return SIZE_MAX;
        taken += found;
    }
    return taken;
}

bool fold_equal(struct str pattern, struct str s)
{
    return take(pattern, s, false) == s.len;
}

bool fold_prefix(struct str pattern, struct str s)
{
    return take(pattern, s, false) != SIZE_MAX;
}

bool fold_suffix(struct str pattern, struct str s)
{
    return take(pattern, s, true) != SIZE_MAX;
}
