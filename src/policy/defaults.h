// SPDX-License-Identifier: Apache-2.0
/* Every default of a guard, once: what the compiler fills in, what `rectify config --defaults`
 * prints, and what docs/operate.md shows (a test holds these two together). Durations in ms. */
#ifndef RECTIFY_POLICY_DEFAULTS_H
#define RECTIFY_POLICY_DEFAULTS_H

#include <stddef.h>
#include <stdint.h>

/* name in code, key, value, unit ("ms" is shown as days, hours, minutes or seconds), source */
#define POLICY_DEFAULTS(X)                                                                         \
    X(SETTLE, "detect.settle", 60000, "ms", "ours: Terraform tags seconds after it creates")       \
    X(READY_WITHIN, "decide.ready.within", 600000, "ms", "Argo Rollouts: stage deadline 600 s")    \
    X(VERIFY_WITHIN, "verify.within", 300000, "ms", "AWS's guide to EC2's eventual consistency")   \
    X(BREAKER_IN_A_ROW, "guard.breaker.in_a_row", 3, "results", "ours; Envoy ejects at 5")         \
    X(BREAKER_PERCENT, "guard.breaker.errors", 50, "%", "Hystrix, resilience4j, AWS Config")       \
    X(BREAKER_OF, "guard.breaker.of", 20, "results", "Hystrix: volume 20")                         \
    X(BREAKER_IN, "guard.breaker.in", 86400000, "ms", "ours: repairs are rare")                    \
    X(BREAKER_OPEN, "guard.breaker.open", 60000, "ms", "resilience4j; doubles up to an hour")      \
    X(LIMIT_AT_ONCE, "guard.limit.at_once", 10, "repairs", "SSM Automation: concurrency 10")       \
    X(LIMIT_PER_HOUR, "guard.limit.per_hour", 100, "repairs", "ours")                              \
    X(LIMIT_GROWTH, "guard.limit.growth", 5, "times the past", "ours")                             \
    X(LIMIT_SHARE, "guard.limit.share", 5, "%", "Cloud Custodian's documented examples")           \
    X(LIMIT_SHARE_MIN, "share, growth: never too many", 20, "violations",                          \
      "Cloud Custodian's documented examples")                                                     \
    X(LIMIT_GROWTH_DAYS, "growth: days of the past", 3, "days", "ours")                            \
    X(COUNT_GOOD, "share: a complete scan counts", 172800000, "ms",                                \
      "ours: a daily scan may fail once")                                                          \
    X(RESERVE, "kept for high severity", 20, "%", "ours")                                          \
    X(ACCOUNT_AT_ONCE, "limits.account.at_once", 20, "repairs", "ours")                            \
    X(ACCOUNT_PER_HOUR, "limits.account.per_hour", 500, "repairs", "ours")                         \
    X(FLEET_AT_ONCE, "limits.fleet.at_once", 100, "repairs", "ours")                               \
    X(CALLS_AT_ONCE, "calls.at_once", 32, "calls", "ours: where there are several accounts")       \
    X(CALL_IN_A_ROW, "breaker of a call, fleet: in a row", 5, "results", "Envoy: 5 in a row")      \
    X(CALL_PERCENT, "breaker of a call, fleet: errors", 50, "%",                                   \
      "Hystrix, resilience4j, AWS Config")                                                         \
    X(CALL_OF, "breaker of a call, fleet: of", 20, "results", "Hystrix: volume 20")                \
    X(CALL_IN, "breaker of a call, fleet: in", 86400000, "ms", "ours: repairs are rare")           \
    X(CALL_OPEN, "breaker of a call, fleet: open", 60000, "ms",                                    \
      "resilience4j; doubles up to an hour")                                                       \
    X(ROLLOUT_BAKE, "guard.rollout.bake", 60000, "ms", "Flagger: 60 s between steps")              \
    X(ROLLOUT_SAMPLE, "guard.rollout.sample", 5, "good verifies", "ours")                          \
    X(ROLLOUT_WITHIN, "guard.rollout.within", 86400000, "ms", "ours: repairs are rare")            \
    X(APPROVAL_EXPIRES, "guard.approval.expires", 86400000, "ms", "JFrog: 24 h; Teleport: 1 h")    \
    X(RISK, "guard.risk", 0, "points", "ours")                                                     \
    X(SCORE_ASK, "risk: one person", 50, "points", "decision 0050")                                \
    X(SCORE_TWO, "risk: two people", 75, "points", "decision 0050")                                \
    X(SCORE_SKIP, "risk: nobody", 150, "points", "decision 0050")                                  \
    X(FIGHT_ROUNDS, "fight: reversals in 24 h", 3, "reversals", "ours")                            \
    X(FIGHT_FIRST, "fight: first pause", 2000, "ms", "Argo CD: self-heal backoff 2 s")             \
    X(FIGHT_FACTOR, "fight: pause grows", 3, "times", "Argo CD: factor 3")                         \
    X(FIGHT_LAST, "fight: longest pause", 300000, "ms", "Argo CD: cap 300 s")

enum policy_default {
#define POLICY_DEFAULT_VALUE(name, key, value, unit, source) POLICY_DEFAULT_##name = (value),
    POLICY_DEFAULTS(POLICY_DEFAULT_VALUE)
#undef POLICY_DEFAULT_VALUE
};

struct policy_default_row {
    const char *key, *unit, *source;
    int64_t value;
};
extern const struct policy_default_row policy_defaults[];
extern const size_t policy_default_count;

#endif
