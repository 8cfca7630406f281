// SPDX-License-Identifier: Apache-2.0
/* Policies: YAML files to one immutable, compiled policy set, shared by all threads.
 *
 * policy_set_load() reads every *.yaml below a folder (not *.test.yaml, not rectify.yaml), checks
 * all of it offline (keys, types, expressions, calls against the service models) and reports every
 * error it finds, each with file, line, column and, where one is near, "did you mean". A set with
 * any error is not given out. rectify.yaml beside the policies says where they run and can only
 * lower what they may do.
 *
 * Expressions see slots: one array of values in the order of `struct policy`'s environments. Slots
 * of POLICY_SLOT_* come first in every environment. Errors P0xxx; CEL's own keep their codes. */
#ifndef RECTIFY_POLICY_POLICY_H
#define RECTIFY_POLICY_POLICY_H

#include "aws/aws.h"
#include "aws/waiter.h"
#include "cel/cel.h"
#include "model/channel.h"
#include "model/model.h"

enum policy_slot {
    POLICY_SLOT_RESOURCE, // {partition, account, region, type, id}
    POLICY_SLOT_ACCOUNT,  // {id, and what rectify.yaml says of it}
    POLICY_SLOT_REGION,   // string
    POLICY_SLOT_PARAMS,   // {name: value}
    POLICY_SLOT_NOW,      // timestamp, fixed per decision
    POLICY_SLOTS_COMMON,
    POLICY_SLOT_EVENT = POLICY_SLOTS_COMMON, // in detect's environment only
};

/* A value with expressions inside: `${...}`. */
struct policy_template;
/* False: err is set (a failing expression, with its place). */
bool policy_template_eval(const struct policy_template *template, const struct value *slots,
                          struct cel_budget *budget, struct arena *arena, struct value *ret,
                          struct error *err) __attribute__((warn_unused_result));

/* Is the template a map with this key? */
bool policy_template_has(const struct policy_template *template, struct str key);

struct policy_absent {
    struct str code;    // the service's error code
    struct value value; // what the read then is
};

struct policy_call {
    const struct aws_operation *operation;
    struct str name; // "s3:GetBucketTagging"
    const struct policy_template *with;
    const struct policy_template *region; // NULL = the resource's
    const struct cel_program *each;       // NULL = once; else a list
    unsigned each_slot;
    const struct cel_program *when; // undo only: NULL = always
    const struct cel_program *done; // steps only: NULL = "the violation is gone"
    enum call_class class;          // of steps and undos
    unsigned line;
};

struct policy_read { // one name under `read` or `let`
    struct str name;
    unsigned slot;
    bool is_let;
    const struct cel_program *let; // is_let
    struct policy_call call;       // otherwise
    struct policy_absent *absent;
    size_t absent_count;
    struct str *gone; // error codes
    size_t gone_count;
};

struct policy_step {
    struct policy_call call;
    struct policy_call
        *undo; // first whose `when` holds is the one; none holds = nothing to take back
    size_t undo_count;
    struct str undo_none; // the reason when the step has no undo, else empty
    bool closes_hole;     // undoing would re-open it: never by itself
    bool uses_reads;      // its input is made from the state: it must not have changed since
};

struct policy_exemption {
    const struct cel_program *when;
    struct str owner, reason;
    int64_t until_ms; // void afterwards
    /* What others choose counts only when one of `by` is known to have chosen it. */
    bool rests_on_tags;
    bool rests_on_name; // of the resource, other than by naming it in full
    struct str *by;     // globs of principals' ARNs
    size_t by_count;
};

/* Repairs may begin within it. One whose end is not after its beginning goes over midnight. */
struct policy_window {
    unsigned days;              // of its beginning: bit 0 = Monday
    int from_minute, to_minute; // of the local day; equal: the whole day
    struct str zone;            // "UTC", "+02:00", "Europe/Berlin"
};
#define POLICY_WINDOWS_MAX 20

enum policy_iac { POLICY_IAC_ACT, POLICY_IAC_ASK, POLICY_IAC_NOTIFY };
const char *policy_iac_name(enum policy_iac iac);

/* verify.wait: a waiter of the service's model that has to be reached before the repair counts. */
struct policy_wait {
    struct str name; // empty = none
    struct aws_waiter waiter;
    struct policy_call call; // sees what the decision's expressions see
};

struct policy_notify {
    struct str to; // a channel's name, a kind of channel, or "owner"
    unsigned on;   // bits 1 << enum telling
};

struct policy_param {
    struct str name;
    enum value_kind kind; // VALUE_NULL = any
    bool has_default;     // else it is null until rectify.yaml sets it
};

struct policy_trigger {
    struct str pattern;                  // EventBridge pattern, JSON
    bool is_operation;                   // by `events`: calls of one operation
    const struct cel_program *resources; // string or list of strings, in detect's environment
};

/* detect.scan: what exists, listed by reads of its own. */
struct policy_scan {
    int64_t every_ms; // 0 = by hand only
    struct policy_read *reads;
    size_t read_count;
    const struct cel_program *resources; // list of strings: ids; NULL = the policy has no scan
    unsigned slots;
};

/* guard.rollout: a resource belongs to the cohort of a stage when one of the steps up to that
 * stage's names it, so that growing only adds. */
struct policy_stage {
    enum { STAGE_SEATS, STAGE_SHARE, STAGE_ACCOUNTS } kind;
    int number;            // seats (resources, the first that come); share: parts per million
    struct value accounts; // accounts: a list of ids, or a map of wanted attributes
    const char *text;      // as written, for people
};
/* A stage goes on only while this is well. Exactly one of alarm and url. */
struct policy_watch {
    struct str alarm, account, region; // CloudWatch: its name and where it is
    struct str url, query;             // Prometheus: its address; one number, not 0 = well
};
struct policy_rollout {
    struct policy_stage *stages; // none: all at once
    size_t stage_count;
    int64_t bake_ms;   // a stage lasts at least so long ...
    int sample;        // ... and has so many good verifies; a stage of fewer seats has fewer
    int64_t within_ms; // has it not by then, it pauses
    bool undo;         // a failed stage is taken back, not only stopped
    struct policy_watch *watches;
    size_t watch_count;
};

/* Limits over all policies; 0 = none. */
struct policy_limits {
    int account_at_once, account_per_hour, fleet_at_once;
    bool shared; // more than one account is known: none may take more than half
};

// In the order in which one reads it. NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct policy {
    struct str name, title, owner, file;
    char hash[65]; // SHA-256 of the file, hex
    enum severity severity;
    struct value controls; // list of strings
    struct value params;   // defaults
    struct policy_param *param_types;
    size_t param_count;
    struct str resource_type;
    bool global; // keyed by region "global"

    struct policy_trigger *triggers;
    size_t trigger_count;
    int64_t settle_ms;

    const struct cel_env *decide_env, *undo_env;
    unsigned decide_slots, undo_slots;
    unsigned before_slot, after_slot, current_slot; // in undo_env
    struct policy_scan scan;
    struct policy_read *reads; // in the order in which they can be made
    size_t read_count;
    const struct cel_path *used; // parts of the reads that decide or act, none within another
    size_t used_count;
    const struct cel_path *kept; // parts of before and after that an undo looks at, likewise
    size_t kept_count;
    const struct cel_program *violation;
    const struct policy_template *message;
    const struct policy_template *identity; // NULL, or gives the canonical id from the reads

    struct policy_step *steps;
    size_t step_count;

    int64_t verify_within_ms;
    bool verify_else_undo; // else a person
    struct policy_wait verify_wait;

    enum mode mode;                // the ceiling
    const struct cel_program *ask; // guard.ask: a person decides when it holds; NULL = never
    int risk;                      // what the author adds to the score: 0 or more
    int at_once, per_hour;         // limits; 0 = none
    int share_percent;             // more violations a day than this share pause it; 100 = any
    int growth;                    // ... or than so many times its own past; 0 = any
    struct policy_rollout rollout;
    int breaker_in_a_row;      // trips at so many bad results in a row
    int breaker_percent;       // or at this share ...
    int breaker_of;            // ... of so many results ...
    int64_t breaker_window_ms; // ... within this time
    int64_t breaker_open_ms;
    int64_t approval_expires_ms;
    int approval_need; // how many people have to say yes: 1 or 2
    struct str *via;   // channels on which they are asked; the command line always is one
    size_t via_count;
    struct policy_notify *notify;
    size_t notify_count;
    struct policy_exemption *exemptions;
    size_t exemption_count;
    struct policy_window *windows;
    size_t window_count; // 0 = at any time
    int64_t grace_ms;    // from the first sight of a violation; 0 = none
    struct str grace_notify;
    enum policy_iac iac;             // what becomes of resources that infrastructure as code owns
    const struct cel_program *ready; // decide.ready.when; NULL = always
    int64_t ready_within_ms;
};

struct policy_set;

struct policy_options {
    const char *dir;
    const char *config; // rectify.yaml; NULL = <dir>/rectify.yaml if there, else observe everywhere
    struct aws_models *models;
};
/* NULL when anything is wrong: `errors` has all of it. */
struct policy_set *policy_set_load(const struct policy_options *options, struct error_list *errors)
    __attribute__((warn_unused_result));
void policy_set_destroy(struct policy_set *set);

size_t policy_set_count(const struct policy_set *set);
const struct policy *policy_set_at(const struct policy_set *set, size_t i);
const struct policy *policy_set_find(const struct policy_set *set, struct str name);

/* What rectify.yaml says of one policy in one account. First match wins. */
struct policy_assignment {
    enum mode mode;              // at most the policy's ceiling; MODE_OFF = not run here
    struct value params;         // the defaults with the assignment's over them; in `arena`
    struct aws_access read, act; // as whom its calls are made there
    int64_t settle_ms;
    struct policy_limits limits;
    int account_step; // the number, from 1, of the rollout's first step that names the account; 0 =
                      // none
};
struct policy_assignment policy_set_assign(const struct policy_set *set,
                                           const struct policy *policy, struct str account,
                                           struct arena *arena);
/* {id: ..., env: ...}; known accounts only say more. */
struct value policy_set_account(const struct policy_set *set, struct str account,
                                struct arena *arena);

/* ---- accounts ---- */

struct policy_account {
    struct str id;
    struct value attributes; // {id, name, env, ...}: `account` in expressions
    const struct str *regions;
    size_t region_count; // 0 = rectify.yaml does not say
};
/* All that are known: rectify.yaml's, then those of the last discovery. Copied into `arena`, but
 * for the regions, which live as long as the set. False: out of memory. */
bool policy_set_accounts(const struct policy_set *set, struct arena *arena,
                         struct policy_account **ret, size_t *ret_count)
    __attribute__((warn_unused_result));
/* The regions that rectify.yaml names for accounts that have none of their own. */
const struct str *policy_set_regions(const struct policy_set *set, size_t *ret_count);

/* Where accounts are discovered. */
struct policy_organization {
    struct str account; // the management account, or one that may list for it
    struct aws_access access;
    int64_t every_ms;
};
const struct policy_organization *policy_set_organization(const struct policy_set *set); // or NULL
/* What was discovered, as a whole: a list of {id, attributes: {name, ou, TAG...}}. Any thread,
 * while others use the set. False (P0140): nothing has changed. */
bool policy_set_discover(struct policy_set *set, struct value accounts, struct error *err)
    __attribute__((warn_unused_result));
/* ---- where events come from ---- */

enum source_type {
    SOURCE_FILE, // a file, or standard input
    SOURCE_HTTP, // POST /events, and what comes in by the Unix socket
    SOURCE_SQS,  // a queue that is polled
    SOURCE_TYPES,
};
const char *source_type_name(enum source_type type);

struct policy_source {
    struct str name; // unique
    enum source_type type;
    const struct str *accounts; // that it may speak for
    size_t account_count;       // 0 = any
    const struct str *regions;
    size_t region_count; // 0 = any
    int64_t expect_ms;   // silence for so long is reported; 0 = it may be silent

    struct str queue;          // sqs: URL
    struct str region;         // sqs: the queue's; empty = the client's
    struct str role;           // sqs: ARN; empty = our own credentials
    const struct str *buckets; // sqs: whose files it may announce
    size_t bucket_count;       // 0 = none
    struct str bucket_owner;   // account; empty = any
    bool digests_ignored;      // files are taken without CloudTrail's digest
};
/* What `sources:` of rectify.yaml lists; lives as long as the set. */
const struct policy_source *policy_set_sources(const struct policy_set *set, size_t *ret_count);
/* A queue's URL, checked (P0163), with the region that it names (empty when it names none). */
bool policy_queue_region(struct str url, struct str *ret_region, struct error *err)
    __attribute__((warn_unused_result));
/* Twelve digits? */
bool policy_is_account(struct str s);

/* Globs of the tags ("KEY" or "KEY=VALUE") by which infrastructure as code marks what it owns. */
const struct str *policy_set_iac_tags(const struct policy_set *set, size_t *ret_count);
/* Is a window open at that time, and if none, when is the next one within a week? False: err (a
 * zone that is not known). */
bool policy_window_open(const struct policy_window *windows, size_t count, int64_t now_ms,
                        bool *ret_open, int64_t *ret_opens_ms, struct error *err)
    __attribute__((warn_unused_result));
/* Path of the kill switch that rectify.yaml names, or empty. */
struct str policy_set_kill_switch(const struct policy_set *set);
/* Path of the key file that rectify.yaml names, or empty. */
struct str policy_set_state_key(const struct policy_set *set);

/* Of a name in `notify` or `approval.via`: the channel of that name, else the first of that kind;
 * "owner" is the first whose `owners` name the policy's owner. NULL: there is none. */
const struct channel *policy_set_channel(const struct policy_set *set, struct str name,
                                         struct str owner);
const struct channel *policy_set_channels(const struct policy_set *set, size_t *ret_count);
/* *ret_said: rectify.yaml has `people`, so that nobody else may decide. */
const struct person *policy_set_people(const struct policy_set *set, size_t *ret_count,
                                       bool *ret_said);

/* The JSON schema of a policy, or of rectify.yaml (`config`), for editors; null when out of memory.
 */
struct value policy_schema(bool config, struct arena *arena);

/* ---- reviewed tables ---- */

/* May this operation be used under `read`? Only what AWS's own SecurityAudit policy lets a reviewer
 * do and returns no credentials. */
bool policy_read_allowed(struct str service, struct str operation);
/* What kind of change a call of it makes; what nothing is known of is destructive. False: memory.
 */
bool policy_call_class(const struct aws_operation *op, struct arena *arena, enum call_class *ret)
    __attribute__((warn_unused_result));
/* The EventBridge pattern for successful calls of an operation ("s3:CreateBucket"). */
bool policy_event_pattern(struct str operation_name, struct arena *arena, struct str *ret,
                          struct error *err) __attribute__((warn_unused_result));
/* Is a resource of this type keyed without a region? */
bool policy_type_is_global(struct str type);

#endif
