// SPDX-License-Identifier: Apache-2.0
/* Maintenance windows, and what infrastructure as code marks as its own. A window is meant in local
 * time: at both changes of the clock it begins and ends when the clock on the wall says so. */
#include "policy/policy_internal.h"

#define MINUTES_A_DAY 1440
#define MS_A_MINUTE 60000

static const char *const day_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

const char *policy_iac_name(enum policy_iac iac)
{
    static const char *const names[] = {"act", "ask", "notify"};
    return names[iac];
}

static int day_of(struct str name)
{
    for (int i = 0; i < 7; i++)
        if (str_is(name, day_names[i]))
            return i;
    return -1;
}

/* "mon", "mon-fri", "sat-mon". */
static bool add_days(struct str text, unsigned *days)
{
    struct str rest = text;
    int from = day_of(str_cut(&rest, '-')), to = rest.len ? day_of(rest) : from;
    if (from < 0 || to < 0)
        return false;
    for (int day = from;; day = (day + 1) % 7) {
        *days |= 1u << day;
        if (day == to)
            return true;
    }
}

/* "22:00"; "24:00" is the end of the day. */
static bool read_minute(const struct yaml *node, int *ret)
{
    struct str text = node && node->kind == YAML_SCALAR ? node->text : STR("");
    struct str rest = text, hour = str_cut(&rest, ':');
    int64_t h, m;
    if (text.len == 5 && hour.len == 2 && str_to_int64(hour, &h) && str_to_int64(rest, &m) &&
        h >= 0 && m >= 0 && m < 60 && h * 60 + m <= MINUTES_A_DAY) {
        *ret = (int)(h * 60 + m) % MINUTES_A_DAY;
        return true;
    }
    return false;
}

bool policy_window_read(const struct yaml *node, struct policy_window *ret)
{
    const struct yaml *days = yaml_get(node, "days"), *zone = yaml_get(node, "zone");
    struct str *words;
    size_t count;
    bool ok = true;
    int64_t offset;
    if (node->kind != YAML_MAP || !policy_words(days, node->file->arena, &words, &count))
        return false;
    ret->days = count ? 0 : 0x7F;
    for (size_t i = 0; i < count; i++) {
        if (!add_days(words[i], &ret->days)) {
            yaml_error(days, "P0128", "mon, tue, wed, thu, fri, sat, sun, or mon-fri",
                       "`%.*s` is not a day", STR_FMT(str_sub(words[i], 0, 40)));
            ok = false;
        }
    }
    if (!read_minute(yaml_get(node, "from"), &ret->from_minute) ||
        !read_minute(yaml_get(node, "to"), &ret->to_minute)) {
        yaml_error(node, "P0128",
                   "e.g. {days: mon-fri, from: \"22:00\", to: \"06:00\", "
                   "zone: Europe/Berlin}",
                   "a window needs `from` and `to`, each as \"HH:MM\"");
        ok = false;
    }
    ret->zone = policy_text(zone, "UTC", &ok);
    if (!cel_zone_offset(ret->zone, 0, &offset)) {
        yaml_error(zone, "P0128", "a name of the tz database (Europe/Berlin), or +02:00",
                   "no such time zone: `%.*s`", STR_FMT(str_sub(ret->zone, 0, 60)));
        ok = false;
    }
    return ok;
}

static bool is_within(const struct policy_window *w, int64_t at_ms, bool *ret)
{
    int64_t offset, seconds = at_ms / 1000;
    if (!cel_zone_offset(w->zone, seconds, &offset))
        return false;
    int64_t minutes = (seconds + offset) / 60; // of local time, since Thursday, 1 January 1970
    int64_t day = minutes / MINUTES_A_DAY, minute = minutes % MINUTES_A_DAY;
    int today = (int)((day + 3) % 7), yesterday = (today + 6) % 7;
    bool whole = w->from_minute == w->to_minute, over = w->to_minute < w->from_minute;
    bool began_today = w->days >> today & 1, began_yesterday = w->days >> yesterday & 1;
    if (whole)
        *ret = began_today;
    else if (over)
        *ret =
            (began_today && minute >= w->from_minute) || (began_yesterday && minute < w->to_minute);
    else
        *ret = began_today && minute >= w->from_minute && minute < w->to_minute;
    return true;
}

/* The next opening is looked for minute by minute within an hour, which every clock change keeps
 * right; else quarter by quarter within eight days: it is looked at again before. */
bool policy_window_open(const struct policy_window *windows, size_t count, int64_t now_ms,
                        bool *ret_open, int64_t *ret_opens_ms, struct error *err)
{
    int64_t at = now_ms, end = now_ms + INT64_C(8) * MINUTES_A_DAY * MS_A_MINUTE;
    *ret_open = count == 0;
    *ret_opens_ms = 0;
    while (!*ret_open && at < end) {
        bool open = false;
        for (size_t i = 0; !open && i < count; i++)
            if (!is_within(&windows[i], at, &open))
                return error_set(err, "D0007", "the time zone `%.*s` cannot be read",
                                 STR_FMT(windows[i].zone));
        if (open) {
            *ret_open = at == now_ms;
            *ret_opens_ms = at;
            return true;
        }
        int64_t step = at < now_ms + 60 * MS_A_MINUTE ? 1 : 15;
        at = (at / (step * MS_A_MINUTE) + 1) * (step * MS_A_MINUTE);
    }
    return true;
}

/* ---- tags ---- */

static bool is_tag_word(struct str name)
{
    return str_find(name, STR("Tag")) != SIZE_MAX || str_starts(name, STR("tag"));
}

/* By the names of what it reads: a read whose operation is about tags, a field of that name, or a
 * let, of which nothing is known. */
bool policy_reads_tags(const struct policy *policy, const struct cel_program *program)
{
    size_t count;
    const struct cel_path *paths = cel_program_paths(program, &count);
    for (size_t i = 0; i < count; i++) {
        bool named = false;
        for (size_t k = 0; k < paths[i].count; k++)
            named = named || is_tag_word(paths[i].fields[k]);
        for (size_t k = 0; !named && k < policy->read_count; k++) {
            const struct policy_read *read = &policy->reads[k];
            if (read->slot != paths[i].slot)
                continue;
            named = read->is_let || is_tag_word(read->call.name) || paths[i].count == 0;
        }
        if (named)
            return true;
    }
    return false;
}

/* Whoever makes a resource chooses its id, unless the policy names it: whoever has that one is
 * known. */
bool policy_reads_names(const struct cel_program *program)
{
    size_t count;
    const struct cel_path *paths = cel_program_paths(program, &count);
    for (size_t i = 0; i < count; i++) {
        bool id = paths[i].count == 0 || str_is(paths[i].fields[0], "id");
        if (paths[i].slot == POLICY_SLOT_RESOURCE && id && !paths[i].named)
            return true;
    }
    return false;
}

const struct str *policy_default_iac_tags(size_t *ret_count)
{
#define TAG(text)                                                                                  \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }
    static const struct str tags[] = {
        TAG("aws:cloudformation:*"),
        TAG("aws:servicecatalog:*"),
        TAG("terraform*"),
        TAG("Terraform*"),
        TAG("managed-by=*erraform*"),
        TAG("managed_by=*erraform*"),
        TAG("ManagedBy=*erraform*"),
        TAG("pulumi:*"),
    };
#undef TAG
    *ret_count = sizeof tags / sizeof *tags;
    return tags;
}
