// SPDX-License-Identifier: Apache-2.0
/* The command line: one file a command, one table of commands. stdout is the result, stderr is for
 * people. Exit codes: 0 ok, 1 failed, 2 ok but not as wanted (a gate), 3 waiting for a person or a
 * guard, 64 wrong usage. */
#ifndef RECTIFY_CLI_CLI_H
#define RECTIFY_CLI_CLI_H

#include "base/error.h"
#include "base/seal.h"
#include "policy/policy.h"
#include "store/store.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_DIFFERENT = 2, CLI_WAITING = 3, CLI_USAGE = 64 };

/* Everything a command may be given; unset = NULL or 0. */
struct cli_options {
    const char *policies, *events, *state, *store, *config, *kill_switch, *models, *reason, *by;
    const char *policy, *resource, *listen, *token_file, *accounts, *vars, *pattern, *patterns;
    const char *output, *query, *wait, *region, *role, *account, *member_of;
    const char *against, *max_matches, *max_growth;
    const char *queue, *regions, *kms;
    const char *out, *expires;
    bool scan, detailed_exitcode;
    bool json, help, all, trace, check, count, invert, explain, defaults;
    bool list, describe, all_pages, dry_run, presign;
    int workers, timeout;
    int jobs;                // threads; -1: as many as there are processors
    const char *const *args; // what is not an option
    int arg_count;
};

struct cli_command {
    const char *name;    // "audit verify": may have two words
    const char *args;    // "ID"
    const char *summary; // one line
    const char *options; // names of the options it takes, separated by spaces
    const char *example;
    int (*run)(const struct cli_options *options);
};
/* The table of commands; ends with a NULL name. */
extern const struct cli_command cli_commands[];

struct cli_option_text {
    const char *name, *value, *help; // "policies", "DIR" ("" = a flag), what it is
};
/* The i-th option that a command takes. False: it takes no more. */
bool cli_option_at(const struct cli_command *command, size_t i, struct cli_option_text *ret);

struct cli_exit {
    int code;
    const char *meaning; // for people
};
/* Exit codes; ends with a NULL meaning. */
extern const struct cli_exit cli_exits[];

/* Prints an error to stderr, rustc-like; one of an expression as CEL's users know it. Returns
 * CLI_FAILED. */
int cli_fail(const struct error *err);
int cli_fail_list(const struct error_list *errors);
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The state folder: --state, RECTIFY_STATE, $XDG_STATE_HOME/rectify, ~/.local/state/rectify.
 * Created when it is not there (0700). */
bool cli_state_dir(const struct cli_options *options, char *ret, size_t size, struct error *err);
/* The same path, without making it. False: too long. */
bool cli_state_path(const struct cli_options *options, char *ret, size_t size);
/* The store: --store, RECTIFY_STORE, rectify.db in the state folder. */
const char *cli_store_said(const struct cli_options *options); // NULL: neither is given
bool cli_store_is_lost(const char *where); // with the environment of a Lambda function
struct store *cli_open_store(const struct cli_options *options, struct error *err);
/* The model pack: --models, RECTIFY_MODELS, <program's folder>/models, ../models,
 * /usr/share/rectify. */
struct aws_models *cli_open_models(const struct cli_options *options, struct error *err);
/* Policies: --policies, RECTIFY_POLICIES. Errors are printed. */
struct policy_set *cli_load_policies(const struct cli_options *options, struct aws_models *models);
/* To stderr: exemptions that are over, or can never count. */
void cli_warn_exemptions(const struct policy_set *set);
/* The kill switch's path in effect: RECTIFY_STOP in the environment (whatever its value: a file
 * that exists), --kill-switch, rectify.yaml, <state>/STOP. */
const char *cli_kill_switch(const struct cli_options *options, const struct policy_set *policies,
                            char *buf, size_t size);
/* The key file that seals what is kept: RECTIFY_STATE_KEY, rectify.yaml; empty = none. */
struct str cli_state_key(const struct policy_set *policies);
/* Reads it; keys of KMS are opened through `caller`. */
bool cli_load_keys(struct str path, struct aws_models *models, struct aws_caller caller,
                   struct seal_keys *ret, struct error *err) __attribute__((warn_unused_result));
/* "rectify-HOST": what sessions of assumed roles are called, as CloudTrail shows them. */
#define CLI_SESSION_SIZE 65
struct str cli_session(char ret[CLI_SESSION_SIZE]);
/* "r12" of the first argument. */
bool cli_id(const struct cli_options *options, int64_t *ret);
/* The exit code of a command that ends with `code`. Where a part of its output was not written,
 * that is told (L0023), and what would have been success is CLI_FAILED. */
int cli_end(int code);
/* Writes to stdout; a value as JSON with a newline. What cannot be written is cli_end()'s. */
void cli_print(struct buf *text);
void cli_print_json(struct arena *arena, struct value v);

/* GET /audit/verify: {good, leaves, root, problem}. False: the store could not be read. */
bool cli_verify_log(struct store *store, struct arena *arena, struct value *ret, struct error *err)
    __attribute__((warn_unused_result));

/* No command: AWS Lambda's runtime, where AWS_LAMBDA_RUNTIME_API is set. */
int cli_lambda(const struct cli_options *options);
int cli_run(const struct cli_options *options);
int cli_list(const struct cli_options *options);
int cli_show(const struct cli_options *options);
int cli_eval(const struct cli_options *options);
int cli_explain(const struct cli_options *options);
int cli_explain_remediation(const struct cli_options *options);
int cli_approve(const struct cli_options *options);
int cli_approvals(const struct cli_options *options);
int cli_notices(const struct cli_options *options);
int cli_deny(const struct cli_options *options);
int cli_policy_status(const struct cli_options *options);
int cli_policy_pause(const struct cli_options *options);
int cli_policy_resume(const struct cli_options *options);
int cli_policy_promote(const struct cli_options *options);
int cli_rollback(const struct cli_options *options);
int cli_clear(const struct cli_options *options);
int cli_freeze(const struct cli_options *options);
int cli_unfreeze(const struct cli_options *options);
int cli_completion(const struct cli_options *options);
/* The scripts for zsh and fish, which name everything in the table of commands. */
void cli_add_zsh(struct buf *out);
void cli_add_fish(struct buf *out);
int cli_doctor(const struct cli_options *options);
int cli_key(const struct cli_options *options);
int cli_man(const struct cli_options *options);
int cli_config(const struct cli_options *options);
int cli_schema(const struct cli_options *options);
int cli_generate_iam(const struct cli_options *options);
int cli_generate_cloudformation(const struct cli_options *options);
int cli_generate_terraform(const struct cli_options *options);
int cli_replay(const struct cli_options *options);
int cli_validate(const struct cli_options *options);
int cli_scan(const struct cli_options *options);
int cli_plan(const struct cli_options *options);
int cli_apply(const struct cli_options *options);
int cli_match(const struct cli_options *options);
int cli_audit_show(const struct cli_options *options);
int cli_audit_verify(const struct cli_options *options);
int cli_aws(const struct cli_options *options);
int cli_models_pack(const struct cli_options *options);
int cli_help(const struct cli_options *options);

#endif
