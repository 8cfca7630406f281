// SPDX-License-Identifier: Apache-2.0
/* Guards of time and people: freeze, rest, grace, windows, readiness, fights, and what
 * infrastructure as code owns. See decide.h. */
#include "decide/decide_internal.h"

#include <stdio.h>

#define HOUR_MS 3600000
#define FREEZE_PAUSE_MS 60000
#define READY_PAUSE_MIN_MS 5000
#define READY_PAUSE_MAX_MS 60000

static int64_t within(int64_t n, int64_t low, int64_t high)
{
    return n < low ? low : n > high ? high : n;
}

void decide_guard_freeze(struct deciding *d)
{
    if (d->in->guards.freeze)
        decide_hold(d, FREEZE_PAUSE_MS, d->in->guards.freeze);
}

/* What a person, or we ourselves, took back is not done again by itself. */
void decide_guard_resting(struct deciding *d)
{
    if (d->in->guards.resting && !d->in->guards.by_hand)
        decide_tighten(d, DECIDE_SKIP,
                       arena_printf(d->arena,
                                    "it rests since %s was taken back, until its state changes or "
                                    "a person says `rectify clear %s`",
                                    d->in->guards.resting, d->in->guards.resting));
}

void decide_guard_grace(struct deciding *d)
{
    int64_t since = d->in->guards.grace_since_ms, now = d->in->settings.now_ms;
    int64_t end = (since ? since : now) + d->in->settings.grace_ms;
    char text[CLOCK_TEXT_SIZE];
    if (!d->in->settings.grace_ms || d->in->guards.by_hand || now >= end)
        return;
    clock_format(end, text);
    decide_hold(d, end - now,
                arena_printf(d->arena, "grace: its owner has until %s to mend it", text));
}

/* Rule 8: also what a person asked for waits for the window. */
void decide_guard_window(struct deciding *d)
{
    const struct decide_settings *p = &d->in->settings;
    char text[CLOCK_TEXT_SIZE];
    if (p->window_error) {
        decide_hold(d, FREEZE_PAUSE_MS, p->window_error);
        return;
    }
    if (!p->shut)
        return;
    int64_t opens = p->opens_ms > p->now_ms ? p->opens_ms : p->now_ms + HOUR_MS;
    clock_format(opens, text);
    decide_hold(d, within(opens - p->now_ms, 1, HOUR_MS),
                p->opens_ms
                    ? arena_printf(d->arena, "no window is open; the next one opens at %s", text)
                    : "no window is open, nor will be within a week");
}

void decide_guard_ready(struct deciding *d)
{
    const struct decide_settings *p = &d->in->settings;
    int64_t since = d->in->guards.unready_since_ms ? d->in->guards.unready_since_ms : p->now_ms;
    int64_t left = since + p->ready_within_ms - p->now_ms;
    const char *why =
        p->ready_error ? arena_printf(d->arena, "`ready` cannot be evaluated: %s", p->ready_error)
                       : "the resource is not ready to be repaired yet";
    if (!p->unready || d->in->guards.by_hand)
        return;
    if (left <= 0)
        decide_tighten(d, DECIDE_STOP,
                       arena_printf(d->arena, "%s, for %lld s now: a person has to look", why,
                                    (long long)(p->now_ms - since) / 1000));
    else
        decide_hold(d,
                    within(within(p->ready_within_ms / 10, READY_PAUSE_MIN_MS, READY_PAUSE_MAX_MS),
                           1, left),
                    why);
}

/* Somebody puts back what we repair. Where it is harmless we stop and name both; a hole we close
 * again and again, at a pause that grows to five minutes, and people are paged. */
void decide_guard_fight(struct deciding *d)
{
    const struct decide_guards *g = &d->in->guards;
    int64_t pause = POLICY_DEFAULT_FIGHT_FIRST;
    if (g->reversals < POLICY_DEFAULT_FIGHT_ROUNDS || g->by_hand)
        return;
    const char *why = arena_printf(
        d->arena, "healed %d times within 24 hours by %s, and undone each time, last by %s",
        g->reversals, g->role && g->role[0] ? g->role : "us",
        g->actor && g->actor[0] ? g->actor : "somebody unknown");
    d->decision->page = why;
    if (!d->in->settings.closes_hole) {
        decide_tighten(d, DECIDE_STOP, why);
        return;
    }
    for (int i = POLICY_DEFAULT_FIGHT_ROUNDS; i < g->reversals && pause < POLICY_DEFAULT_FIGHT_LAST;
         i++)
        pause *= POLICY_DEFAULT_FIGHT_FACTOR;
    int64_t due = g->last_healed_ms + within(pause, 0, POLICY_DEFAULT_FIGHT_LAST);
    if (due > d->in->settings.now_ms)
        decide_hold(d, within(due - d->in->settings.now_ms, 1, POLICY_DEFAULT_FIGHT_LAST), why);
    else
        decide_say(d, why);
}

/* A tag is written by whoever may tag: it never keeps a hole open. */
void decide_guard_iac(struct deciding *d)
{
    const struct decide_settings *p = &d->in->settings;
    bool ask = p->iac && strcmp(p->iac, "ask") == 0;
    if (!p->iac_tag || !p->iac || strcmp(p->iac, "act") == 0 || d->in->guards.by_hand)
        return;
    const char *why = arena_printf(d->arena, "infrastructure as code owns it (%s)", p->iac_tag);
    if (p->closes_hole)
        decide_say(d, arena_printf(d->arena, "%s, but the repair closes a hole", why));
    else if (ask)
        decide_ask(d, 1, arena_printf(d->arena, "%s: a person decides", why));
    else
        decide_tighten(d, DECIDE_OBSERVE,
                       arena_printf(d->arena, "%s: it is told, not changed", why));
}
