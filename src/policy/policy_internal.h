// SPDX-License-Identifier: Apache-2.0
/* What the files of policy/ share. */
#ifndef RECTIFY_POLICY_POLICY_INTERNAL_H
#define RECTIFY_POLICY_POLICY_INTERNAL_H

#include <pthread.h>

#include "base/map.h"
#include "policy/defaults.h"
#include "policy/policy.h"
#include "policy/yaml_internal.h"

#define POLICY_TEMPLATE_PARTS_MAX 32

enum template_kind { TEMPLATE_LITERAL, TEMPLATE_WHOLE, TEMPLATE_JOIN, TEMPLATE_LIST, TEMPLATE_MAP };

struct policy_template {
    enum template_kind kind;
    struct value literal;
    const struct cel_program *program;
    struct str *keys;
    struct policy_template **items;
    size_t count;
};

/* Mappings whose keys are known: one table of them (keys.c). Those of rectify.yaml come last. */
enum policy_section {
    POLICY_ROOT,
    POLICY_PARAM,
    POLICY_RESOURCE,
    POLICY_DETECT,
    POLICY_SCAN,
    POLICY_DECIDE,
    POLICY_READ,
    POLICY_STEP,
    POLICY_UNDO,
    POLICY_VERIFY,
    POLICY_WAIT,
    POLICY_GUARD,
    POLICY_ROLLOUT,
    POLICY_WATCH,
    POLICY_BREAKER,
    POLICY_LIMIT,
    POLICY_APPROVAL,
    POLICY_EXEMPTION,
    POLICY_NOTIFY,
    POLICY_WINDOW,
    POLICY_GRACE,
    POLICY_READY,
    POLICY_CONFIG,
    POLICY_ASSIGNMENT,
    POLICY_ROLES,
    POLICY_CALLS,
    POLICY_ORGANIZATION,
    POLICY_CHANNEL,
    POLICY_SECRET,
    POLICY_PERSON,
    POLICY_LIMITS,
    POLICY_ACCOUNT_LIMIT,
    POLICY_FLEET_LIMIT,
    POLICY_SOURCE,
    POLICY_SECTION_COUNT,
};
/* Reports every key of `map` that the section does not have. False: there are, or it is no map. */
bool policy_check_keys(const struct yaml *map, enum policy_section section);

/* Where expressions are being compiled. */
struct policy_compiler {
    struct aws_models *models;
    const struct cel_env *env;
};

/* Compiles an expression that stands in `node`; `want` as for cel_compile. NULL: reported. */
const struct cel_program *policy_compile(const struct policy_compiler *compiler,
                                         const struct yaml *node, struct str source,
                                         const struct cel_type *want);
struct policy_template *policy_template_compile(const struct policy_compiler *compiler,
                                                const struct yaml *node);
struct value policy_template_shape(const struct policy_template *template, struct arena *arena);

/* The CEL type of a service's shape; recursive shapes are records that refer to themselves.
 * `stored`: of an answer that was kept as JSON, where times and bytes have become text. */
const struct cel_type *policy_shape_type(struct arena *arena, const struct aws_shape *shape,
                                         bool stored);
/* Is the data that stands in the policy of this shape? What is not is reported. */
bool policy_value_conforms(const struct yaml *node, const struct aws_shape *shape);

/* The kind that a parameter's `type:` names. False: reported. */
bool policy_param_kind(const struct yaml *type, enum value_kind *ret);
/* Is the value in the policy or in rectify.yaml of the parameter's kind (VALUE_NULL: any)? `what`
 * begins the message when not. */
bool policy_param_fits(const struct yaml *node, enum value_kind kind, const char *what);
/* A record of the parameters. */
const struct cel_type *policy_params_type(struct arena *arena, const struct policy *policy);

/* Typed access to scalars; absent (node NULL) gives `fallback`; a wrong kind is reported. */
struct str policy_text(const struct yaml *node, const char *fallback, bool *ok);
int64_t policy_duration(const struct yaml *node, int64_t fallback_ms, bool *ok);
int policy_count(const struct yaml *node, int fallback, bool *ok);
bool policy_flag(const struct yaml *node, bool fallback, bool *ok);

/* guard.rollout, which may be missing. */
bool policy_rollout_compile(const struct yaml *rollout, struct policy *policy);
/* "5%" to 5; reported when it is none or not 0 to 100. */
int policy_percent(const struct yaml *node, int fallback, bool *ok);
/* A word or a list of words; none when NULL. False: reported. */
bool policy_words(const struct yaml *node, struct arena *arena, struct str **ret, size_t *ret_count)
    __attribute__((warn_unused_result));
/* A section of `guard.window`. False: reported. */
bool policy_window_read(const struct yaml *node, struct policy_window *ret)
    __attribute__((warn_unused_result));
/* Where rectify.yaml names none. */
const struct str *policy_default_iac_tags(size_t *ret_count);
/* Does the expression read what tags say? */
bool policy_reads_tags(const struct policy *policy, const struct cel_program *program);
bool policy_reads_names(const struct cel_program *program);

/* One policy file. NULL: reported. */
struct policy *policy_compile_file(const struct yaml *root, struct aws_models *models);

/* Sets `used` and `kept`. False: out of memory. */
bool policy_find_used(struct policy *policy, struct arena *arena)
    __attribute__((warn_unused_result));

/* ---- rectify.yaml ---- */

struct policy_way { // of a role
    struct str *via;
    size_t via_count;
    struct str external_id;
};
struct policy_calls {
    int at_once, per_second; // -1 = not said
};
struct policy_known { // an account
    struct str id;
    struct value attributes; // a map
    struct str *regions;
    size_t region_count;
    struct policy_way way;
    struct policy_calls calls;
};
struct policy_accounts {
    struct arena *arena; // NULL = another's
    struct policy_known *items;
    size_t count;
    struct map by_id;
};
/* Those that were discovered; replaced as a whole while others read. */
struct policy_directory {
    pthread_rwlock_t lock;
    bool has_lock;
    struct policy_accounts *found; // NULL = nothing was discovered yet
};

struct policy_assignment_rule {
    struct str *policies; // globs
    size_t policy_count;
    bool any_account;
    struct value accounts; // a list of ids, or a map of wanted attributes
    enum mode mode;
    struct value params;
    const struct yaml *params_node; // NULL = none
    struct str read_role, act_role;
    struct policy_way way;
    int64_t settle_ms; // -1 = the policy's
};
struct policy_config {
    struct policy_accounts accounts;
    struct str *regions; // of accounts that have none of their own
    size_t region_count;
    struct policy_calls calls;
    struct policy_organization organization; // account empty = none
    struct policy_assignment_rule *rules;
    size_t rule_count;
    struct str kill_switch, state_key;
    struct channel *channels;
    size_t channel_count;
    struct person *people;
    size_t person_count;
    bool has_people;
    struct policy_limits limits;
    struct policy_source *sources;
    size_t source_count;
    struct str *iac_tags;
    size_t iac_tag_count;
};
/* `sources:`, a list. False: reported. */
bool policy_read_sources(const struct yaml *node, struct policy_config *ret);
/* people.c */
bool policy_read_notify(const struct yaml *list, struct policy *p);
bool policy_read_approval(const struct yaml *approval, struct policy *p);
bool policy_people_read(const struct yaml *root, struct policy_config *ret);
bool policy_config_read(const struct yaml *root, struct policy_config *ret);

/* accounts.c. Reading: NULL nodes are absent keys and leave `ret` as it is; false: reported. */
bool policy_read_regions(const struct yaml *node, struct str **ret, size_t *ret_count);
bool policy_read_calls(const struct yaml *node, struct policy_calls *ret);
bool policy_read_roles(const struct yaml *node, struct str *ret_read, struct str *ret_act,
                       struct policy_way *ret);
bool policy_read_organization(const struct yaml *node, struct policy_organization *ret);
bool policy_read_accounts(const struct yaml *node, struct policy_accounts *ret);

bool policy_directory_init(struct policy_directory *directory);
void policy_directory_finish(struct policy_directory *directory);
bool policy_directory_replace(struct policy_directory *directory, struct value list,
                              struct error *err) __attribute__((warn_unused_result));
/* What is known of an account, from both places; valid until left. */
struct policy_account_view {
    const struct policy_known *listed, *found; // NULL = not there
};
struct policy_account_view policy_directory_enter(struct policy_directory *directory,
                                                  const struct policy_accounts *listed,
                                                  struct str account);
void policy_directory_leave(struct policy_directory *directory);
const struct value *policy_account_attribute(const struct policy_account_view *view,
                                             struct value key);
/* {id, attributes...}, copied. */
struct value policy_account_value(const struct policy_account_view *view, struct str account,
                                  struct arena *arena);
/* Without a role: the way to it, and the account's limits. Borrows from the set only. */
struct aws_access policy_account_access(const struct policy_account_view *view,
                                        const struct policy_config *config,
                                        const struct policy_way *way);
bool policy_directory_list(struct policy_directory *directory, const struct policy_config *config,
                           struct arena *arena, struct policy_account **ret, size_t *ret_count)
    __attribute__((warn_unused_result));

#endif
