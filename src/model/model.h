// SPDX-License-Identifier: Apache-2.0
/* The nouns that the stages exchange: plain data, no behaviour beyond naming and parsing.
 *
 *   event ─► finding ─► decision ─► attempt ─► outcome      every arrow also writes a record
 *
 * What a remediation has gathered on its way lives in one JSON object, its `detail`; the keys of
 * that object are named here once (DETAIL_*), so that store, engine, command line and docs agree.
 */
#ifndef RECTIFY_MODEL_MODEL_H
#define RECTIFY_MODEL_MODEL_H

#include "base/error.h"
#include "value/value.h"

/* ---- resource: one canonical key, partition/account/region/type/id ---- */

struct resource {
    struct str partition; // "aws", "aws-cn", "aws-us-gov"
    struct str account;   // twelve digits
    struct str region;    // "eu-west-1", or "global"
    struct str type;      // "AWS::S3::Bucket"
    struct str id;        // 1..LIMIT_RESOURCE_ID_BYTES bytes of UTF-8 without control characters
};

/* "aws/123456789012/us-east-1/AWS::S3::Bucket/name": the id stands last and may hold anything.
 * Every lock, limit, history and record uses it. Errors M0001 (which part is wrong). */
bool resource_key(const struct resource *resource, struct arena *arena, struct str *ret,
                  struct error *err) __attribute__((warn_unused_result));
/* The views borrow from `key`. */
bool resource_parse(struct str key, struct resource *ret) __attribute__((warn_unused_result));
/* The partition that a region belongs to, by its prefix; "aws" for any other. */
struct str resource_partition(struct str region);

/* ---- the table of states ---- */

enum state_flag {
    STATE_TERMINAL = 1, // no way out
    STATE_LOCKED = 2,   // the resource's lock is held
    STATE_WAITING = 4,  // a person or a guard decides when it goes on
};

/* name in code, name for people and in JSON, flags, what it means */
#define STATES(X)                                                                                  \
    X(RECEIVED, "received", 0, "waits to settle")                                                  \
    X(READING, "reading", 0, "reads the resource's state")                                         \
    X(SETTLING, "settling", 0, "compliant, but too young to be believed; reads again")             \
    X(UNREAD, "unread", 0, "the state could not be read; tries again")                             \
    X(DECIDING, "deciding", 0, "risk, guards, plan")                                               \
    X(HELD, "held", STATE_WAITING, "a guard holds it back; decided again when due")                \
    X(ASKING, "asking", STATE_WAITING, "waits for a person's yes or no")                           \
    X(INTENT, "intent", STATE_LOCKED, "plan, state before, undo and permits are on disk")          \
    X(CALLING, "calling", STATE_LOCKED, "a step may have been sent")                               \
    X(UNKNOWN, "unknown", STATE_LOCKED, "a step's end is not known; reads and tests it")           \
    X(VERIFYING, "verifying", STATE_LOCKED, "reads back")                                          \
    X(UNDOING, "undoing", STATE_LOCKED, "takes back what it changed")                              \
    X(COMPLIANT, "compliant", STATE_TERMINAL, "the resource obeys the policy")                     \
    X(GONE, "gone", STATE_TERMINAL, "the resource does not exist any more")                        \
    X(OBSERVED, "observed", STATE_TERMINAL, "a violation, only watched")                           \
    X(SKIPPED, "skipped", STATE_TERMINAL, "exempt, not assigned, or taken over by another")        \
    X(DENIED, "denied", STATE_TERMINAL, "a person said no")                                        \
    X(EXPIRED, "expired", STATE_TERMINAL, "nobody answered in time; nothing was done")             \
    X(HEALED, "healed", STATE_TERMINAL, "repaired, and reading back shows it")                     \
    X(ROLLED_BACK, "rolled back", STATE_TERMINAL, "what was changed has been taken back")          \
    X(UNCONFIRMED, "unconfirmed", STATE_TERMINAL, "repaired, but reading back never showed it")    \
    X(NEEDS_PERSON, "needs person", STATE_TERMINAL, "stopped; a person has to look")

enum state {
#define STATE_ENUM(name, text, flags, meaning) STATE_##name,
    STATES(STATE_ENUM)
#undef STATE_ENUM
        STATE_COUNT
};
const char *state_name(enum state state);    // "needs person"
const char *state_meaning(enum state state); // for `rectify explain`
unsigned state_flags(enum state state);
static inline bool state_is_terminal(enum state state)
{
    return state_flags(state) & STATE_TERMINAL;
}
bool state_parse(struct str name, enum state *ret) __attribute__((warn_unused_result));

/* ---- modes and severities ---- */

enum mode { MODE_OFF, MODE_OBSERVE, MODE_APPROVE, MODE_ENFORCE }; // ordered: later may do more
const char *mode_name(enum mode mode);
bool mode_parse(struct str name, enum mode *ret) __attribute__((warn_unused_result));

enum severity { SEVERITY_INFO, SEVERITY_LOW, SEVERITY_MEDIUM, SEVERITY_HIGH, SEVERITY_CRITICAL };
const char *severity_name(enum severity severity);
bool severity_parse(struct str name, enum severity *ret) __attribute__((warn_unused_result));

/* ---- class: what kind of change a call makes; later is stricter ---- */

enum call_class {
    CLASS_ADDITIVE,    // adds a tag or a protection
    CLASS_RESTRICTIVE, // takes access away, may break traffic
    CLASS_OVERWRITE,   // writes over what was there
    CLASS_DELETE,      // deletes what can be made again
    CLASS_DESTRUCTIVE, // ends something for good, or nothing is known of it
};
#define CLASS_COUNT 5
const char *call_class_name(enum call_class class);
bool call_class_parse(struct str name, enum call_class *ret) __attribute__((warn_unused_result));

/* ---- verdict: what a finding says ---- */

enum verdict { VERDICT_COMPLIANT, VERDICT_VIOLATION, VERDICT_GONE, VERDICT_UNREAD };
const char *verdict_name(enum verdict verdict);

/* ---- remediation: the durable whole ---- */

enum remediation_kind { REMEDIATION_REPAIR, REMEDIATION_ROLLBACK };

struct remediation {
    int64_t id; // shown as "r<id>"
    enum remediation_kind kind;
    enum state state;
    int step;              // calling, unknown, undoing: which
    int64_t version;       // +1 with every transition; transitions are conditional on it
    int64_t epoch;         // lease epoch; a stale one can write nothing
    int64_t sequence;      // events that named this resource while it was being worked on
    int64_t sequence_seen; // of these, older than the reading that its end rests on
    int64_t created_ms, updated_ms, due_ms; // wall clock
    int64_t settled_ms;     // when what the newest event tells of is seen everywhere (its `settle`)
    struct str policy;      // name
    struct str policy_hash; // of the compiled policy with its parameters, hex
    struct str resource;    // canonical key
    struct str region;      // where calls go (a global resource has one too)
    struct str reason;      // why it is in this state, one line for people
    struct value detail;    // everything gathered so far: a map with the keys below
};

/* keys of `detail` */
#define DETAIL_EVENT "event" // {id, name, time, source, actor, ip} of the newest event
#define DETAIL_MODE "mode"   // the mode it runs under
#define DETAIL_READS                                                                               \
    "reads" // {name: value} as decided on: what the undo needs of it, perhaps sealed
#define DETAIL_FINGERPRINT "fingerprint" // hex, of what the expressions used
#define DETAIL_NOW "now"                 // the decision's `now`, wall ms
#define DETAIL_MESSAGE "message"         // the policy's message for this violation
/* {action, reasons: [...], people, score, risk: [{part, points, why}], hold_ms, mode, inputs} */
#define DETAIL_DECISION "decision"
#define DETAIL_PLAN "plan"           // [{call, with, region, account, token, undo, ...}]
#define DETAIL_PLAN_HASH "plan_hash" // hex
#define DETAIL_ATTEMPTS "attempts"   // [{step, call, request_id, outcome, code, at}]
#define DETAIL_AFTER "after"         // {name: value} read back, likewise
/* counts: unread, changes, verify; calls and later (attempts of the step, that counted or surely
 * did nothing), done (steps carried out), maybe (the step may have been), unsent (it surely was
 * not), earlier (a plan before this one changed something), renamed. `between`: the fingerprint
 * behind the steps before the one that waits. */
#define DETAIL_COUNTS "counts"
#define DETAIL_APPROVAL "approval"           // {asked, expires, by, at, decision, reason}
#define DETAIL_UNREADY_SINCE "unready_since" // wall ms: first time that `ready` did not hold
#define DETAIL_PARENT "parent"               // id of the remediation that this one takes back
#define DETAIL_STAGED "staged" // a rollback that no person asked for: its stage failed
#define DETAIL_ERROR "error"   // {code, message} of the last failure
#define DETAIL_PLANNED                                                                             \
    "planned" // what `apply` was given: {fingerprint, plan_hash, action, expires_ms}

#define REMEDIATION_ID_SIZE 24
void remediation_id_format(int64_t id, char ret[REMEDIATION_ID_SIZE]);
bool remediation_id_parse(struct str text, int64_t *ret) __attribute__((warn_unused_result));

#endif
