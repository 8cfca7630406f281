// SPDX-License-Identifier: Apache-2.0
/* The one table of commands and the one table of options: parsing, help and completion come from
 * them. */
#include "cli/cli.h"

#include <stddef.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

const struct cli_command cli_commands[] = {
    {"run", "", "take events through to their ends; without --events: the daemon",
     "policies events queue state store config kill-switch models workers listen token-file "
     "accounts regions",
     "rectify run --policies policies --events events.jsonl", cli_run},
    {"scan", "", "what exists, by the policies' own lists, to its ends",
     "policies policy region account state store config kill-switch models workers",
     "rectify scan --policies policies", cli_scan},
    {"plan", "", "what would be done about an event, a resource or everything; nothing is",
     "policies events scan policy resource region account out expires detailed-exitcode "
     "json state store config kill-switch models",
     "rectify plan --policies policies --out plan.json", cli_plan},
    {"apply", "FILE", "do exactly what a plan says; what has changed since is refused",
     "policies state store config kill-switch models workers by", "rectify apply plan.json",
     cli_apply},
    {"list", "", "remediations, newest first", "state store policy resource all json",
     "rectify list", cli_list},
    {"show", "ID", "the story of one remediation", "state store json", "rectify show r1", cli_show},
    {"explain", "[WORD]", "why it was decided so (an id); a function; an error code",
     "state store all", "rectify explain startsWith", cli_explain},
    {"eval", "EXPR", "an expression by itself, to try it out", "vars trace check json",
     "rectify eval 'tags.exists(t, t.Key == \"env\")' --vars answer.json", cli_eval},
    {"approve", "ID", "say yes to what it asks", "policies config models state store by reason",
     "rectify approve r1", cli_approve},
    {"deny", "ID", "say no, with a reason", "policies config models state store by reason",
     "rectify deny r1 --reason 'not now'", cli_deny},
    {"rollback", "ID", "show how what a repair changed would be taken back, and take it back",
     "policies state store config kill-switch models workers by dry-run json",
     "rectify rollback r1 --policies policies", cli_rollback},
    {"policy status", "[NAME]", "which policies are paused, and how far their rollouts are",
     "state store json", "rectify policy status", cli_policy_status},
    {"policy pause", "NAME", "nothing of it is repaired any more",
     "policies config models state store by reason",
     "rectify policy pause s3-cost-center-tag --reason 'too eager'", cli_policy_pause},
    {"policy resume", "NAME",
     "on again, at the beginning of its step; its share is waived for a day",
     "policies config models state store by reason",
     "rectify policy resume s3-cost-center-tag --reason 'looked at it'", cli_policy_resume},
    {"policy promote", "NAME", "to the next step of its rollout",
     "policies config models state store by reason",
     "rectify policy promote s3-cost-center-tag --reason 'good so far'", cli_policy_promote},
    {"clear", "ID", "let its resource rest no longer, after an undo", "state store by reason",
     "rectify clear r1 --reason 'looked at it'", cli_clear},
    {"freeze", "[ACCOUNT]", "change nothing in an account, or anywhere; alone: what is frozen",
     "state store by reason json", "rectify freeze 111122223333 --reason 'incident 7'", cli_freeze},
    {"unfreeze", "[ACCOUNT]", "end a freeze", "state store by reason", "rectify unfreeze",
     cli_unfreeze},
    {"config", "", "the defaults of everything that holds a repair back", "defaults",
     "rectify config --defaults", cli_config},
    {"validate", "", "check policies offline, all errors at once", "policies config models",
     "rectify validate --policies policies", cli_validate},
    {"match", "[FILE]",
     "events that an event pattern matches, like grep (exit 0 some, 1 none, 2 error)",
     "pattern patterns count invert explain jobs",
     "rectify match --pattern '{\"source\": [\"aws.s3\"]}' < events.jsonl", cli_match},
    {"replay", "PATH...", "what the policies would have matched in CloudTrail's history, offline",
     "policies against config models accounts jobs max-matches max-growth json",
     "rectify replay AWSLogs --policies policies", cli_replay},
    {"generate iam", "", "the least-privilege policies of the read and the act role",
     "policies config models account region role",
     "rectify generate iam --policies policies --account 111122223333", cli_generate_iam},
    {"generate cloudformation", "", "rules, queue, function, roles and alarms as a template",
     "policies config models account region member-of",
     "rectify generate cloudformation --policies policies", cli_generate_cloudformation},
    {"generate terraform", "", "the same as a Terraform module",
     "policies config models account region member-of",
     "rectify generate terraform --policies policies", cli_generate_terraform},
    {"audit show", "[ID]", "the records, one JSON object a line", "state store",
     "rectify audit show r1", cli_audit_show},
    {"audit verify", "", "recompute the whole log", "state store json", "rectify audit verify",
     cli_audit_verify},
    {"aws", "OPERATION [INPUT...]", "call any operation of any AWS service",
     "query output all-pages wait dry-run presign list describe region role account timeout models "
     "state kill-switch",
     "rectify aws s3:GetBucketTagging Bucket=my-bucket --query TagSet -o table", cli_aws},
    {"models pack", "DIR [OUT]", "make a model pack of botocore's data folder", "",
     "rectify models pack /usr/lib/python3/dist-packages/botocore/data models", cli_models_pack},
    {"approvals", "", "what waits for a person, with all that a person decides by",
     "state store json", "rectify approvals", cli_approvals},
    {"notices", "", "what people are told over the channels of rectify.yaml, and what could not be",
     "state store all json", "rectify notices", cli_notices},
    {"doctor", "", "everything it depends on: ok, warn or fail, and what to do",
     "policies config models state store kill-switch token-file json", "rectify doctor",
     cli_doctor},
    {"key", "FILE", "a new key in front of a key file: it seals what is kept of resources",
     "kms models", "rectify key state.key", cli_key},
    {"schema", "[config]", "the JSON schema of a policy, or of rectify.yaml, for editors", "",
     "rectify schema > policy.schema.json", cli_schema},
    {"completion", "[SHELL]", "completion of commands and operations for bash, zsh or fish",
     "models", "source <(rectify completion bash)", cli_completion},
    {"man", "", "the manual page", "", "rectify man | man -l -", cli_man},
    {"help", "", "this text", "", "rectify help", cli_help},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

enum option_kind { TEXT, FLAG, NUMBER };
static const struct option {
    const char *name;
    char letter; // as in -v, or 0
    enum option_kind kind;
    size_t offset;
    const char *value, *help;
} options_table[] = {
#define LETTER(name, letter, kind, field, value, help)                                             \
    {                                                                                              \
        name, letter, kind, offsetof(struct cli_options, field), value, help                       \
    }
#define OPTION(name, kind, field, value, help) LETTER(name, 0, kind, field, value, help)
    OPTION("policies", TEXT, policies, "DIR", "where the policies are (RECTIFY_POLICIES)"),
    OPTION("events", TEXT, events, "FILE|URL",
           "events to take: a file, - for standard input, or an SQS queue, until it is empty"),
    OPTION("queue", TEXT, queue, "URL", "an SQS queue to listen to (several, with commas)"),
    OPTION("state", TEXT, state, "DIR", "where state is kept (RECTIFY_STATE)"),
    OPTION("store", TEXT, store, "WHERE",
           "postgres://..., shared by many, or a file, instead of rectify.db (RECTIFY_STORE)"),
    OPTION("config", TEXT, config, "FILE", "rectify.yaml, when not beside the policies"),
    OPTION("kill-switch", TEXT, kill_switch, "FILE", "nothing is changed while it exists"),
    OPTION("models", TEXT, models, "DIR", "AWS service models (RECTIFY_MODELS)"),
    OPTION("workers", NUMBER, workers, "N", "remediations worked on at once, 1 to 500"),
    OPTION("listen", TEXT, listen, "ADDRESS", "where the daemon listens; 127.0.0.1:8787, or none"),
    OPTION("token-file", TEXT, token_file, "FILE",
           "the token that events over HTTP need (RECTIFY_TOKEN)"),
    OPTION("accounts", TEXT, accounts, "LIST",
           "accounts that events may speak for; any when not given"),
    OPTION("regions", TEXT, regions, "LIST",
           "regions that events may speak for; any when not given"),
    OPTION("vars", TEXT, vars, "FILE", "a JSON object, each name a variable; - for standard input"),
    OPTION("trace", FLAG, trace, "", "every part of the expression with its value, as a tree"),
    OPTION("check", FLAG, check, "", "do not evaluate: every part with its type"),
    OPTION("against", TEXT, against, "DIR", "the policies before a change, to compare with"),
    OPTION("max-matches", TEXT, max_matches, "N", "exit with 2 when a policy matches more than N"),
    OPTION("max-growth", TEXT, max_growth, "PERCENT",
           "exit with 2 when a policy matches more than so much more than before"),
    OPTION("policy", TEXT, policy, "NAME", "only this policy"),
    OPTION("scan", FLAG, scan, "", "everything that exists, by the policies' own lists"),
    OPTION("out", TEXT, out, "FILE", "write the plan there, for `rectify apply` (also -o FILE)"),
    OPTION("expires", TEXT, expires, "TIME", "how long the plan stands; 1h"),
    OPTION("detailed-exitcode", FLAG, detailed_exitcode, "",
           "0 nothing to do, 1 an error, 2 something to do"),
    OPTION("resource", TEXT, resource, "GLOB",
           "only resources whose key matches; plan: this one, by its id or key"),
    OPTION("reason", TEXT, reason, "TEXT", "why; kept with the decision"),
    OPTION("by", TEXT, by, "NAME", "who decides, when not you"),
    OPTION("query", TEXT, query, "JMESPATH", "what of the answer is shown"),
    OPTION("output", TEXT, output, "FORMAT", "json, yaml or table (also -o)"),
    OPTION("wait", TEXT, wait, "NAME", "ask again until this waiter's state is reached"),
    OPTION(
        "region", TEXT, region, "REGION",
        "another region than the configured one, or the one that is generated for (scan: several, "
        "with commas)"),
    OPTION("role", TEXT, role, "ROLE",
           "assume this role first (an ARN); generate iam: read, act, both, or one for both"),
    OPTION("account", TEXT, account, "ID",
           "the account that the credentials must be of, or that is generated for"),
    OPTION("member-of", TEXT, member_of, "HUB",
           "what stands in an account whose events go to the account HUB, in --region"),
    OPTION("timeout", NUMBER, timeout, "SECONDS", "for a call with its retries; 60"),
    OPTION("all-pages", FLAG, all_pages, "", "all pages of a list, joined"),
    OPTION("dry-run", FLAG, dry_run, "",
           "show the signed request, or how it would be taken back; nothing is sent"),
    OPTION("presign", FLAG, presign, "", "print a URL that makes the call, good for an hour"),
    OPTION("list", FLAG, list, "", "the services, or a service's operations"),
    OPTION("describe", FLAG, describe, "", "what the operation takes and gives"),
    OPTION("kms", TEXT, kms, "ARN", "the key of KMS that wraps the new key"),
    OPTION("all", FLAG, all, "", "more rows"),
    OPTION("defaults", FLAG, defaults, "", "every default with where it comes from"),
    OPTION("pattern", TEXT, pattern, "FILE|JSON", "the event pattern"),
    OPTION(
        "patterns", TEXT, patterns, "FILE",
        "many: {\"name\": ..., \"pattern\": {...}} a line; prints the names of those that match"),
    LETTER("count", 'c', FLAG, count, "", "print how many instead (-c)"),
    LETTER("invert", 'v', FLAG, invert, "", "the events that do not match (-v)"),
    OPTION("explain", FLAG, explain, "", "which condition of the pattern the first event fails"),
    LETTER("jobs", 'j', NUMBER, jobs, "N", "threads (-jN); -j: one a processor"),
    OPTION("json", FLAG, json, "", "the result as JSON (also -o json)"),
    OPTION("help", FLAG, help, "", "help"),
#undef OPTION
#undef LETTER
};
#define OPTION_COUNT (sizeof options_table / sizeof *options_table)

static bool command_takes(const struct cli_command *command, const char *name)
{
    struct str rest = str_from(command->options);
    while (rest.ptr && rest.len)
        if (str_is(str_cut(&rest, ' '), name))
            return true;
    return strcmp(name, "help") == 0;
}

bool cli_option_at(const struct cli_command *command, size_t at, struct cli_option_text *ret)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &options_table[i];
        if (!command_takes(command, option->name) || at-- > 0)
            continue;
        *ret = (struct cli_option_text){option->name, option->value, option->help};
        return true;
    }
    return false;
}

const struct cli_exit cli_exits[] = {
    {CLI_OK, "done"},
    {CLI_FAILED, "failed; standard error says what happened, where, and what to do next"},
    {CLI_DIFFERENT,
     "done, and not as it was wanted: a gate of replay, or a plan with something to do "
     "(--detailed-exitcode)"},
    {CLI_WAITING, "something waits for a person, a guard or a later try"},
    {CLI_USAGE, "wrong usage"},
    {0, NULL},
};

static void print_command(const struct cli_command *c)
{
    printf("rectify %s %s\n  %s\n\n", c->name, c->args, c->summary);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (command_takes(c, options_table[i].name))
            printf("  --%s %s\n        %s\n", options_table[i].name, options_table[i].value,
                   options_table[i].help);
    printf("\nExample: %s\n", c->example);
}

int cli_help(const struct cli_options *options)
{
    (void)options;
    printf("rectify: self-healing infrastructure\n\n");
    for (const struct cli_command *c = cli_commands; c->name; c++)
        printf("  %s %-*s %s\n", c->name, (int)(31 - strlen(c->name)), c->args, c->summary);
    printf("\nrectify COMMAND --help shows its options. Exit codes: 0 ok, 1 failed, 2 not "
           "as wanted, 3 waiting, 64 usage.\n");
    return CLI_OK;
}

static int unknown_option(const char *typed)
{
    const char *names[OPTION_COUNT];
    for (size_t i = 0; i < OPTION_COUNT; i++)
        names[i] = options_table[i].name;
    const char *near = str_nearest(str_from(typed), names, OPTION_COUNT);
    return near ? cli_usage("there is no option --%s; did you mean --%s?", typed, near)
                : cli_usage("there is no option --%s", typed);
}

/* One option; *at moves over its value. 0, or the exit code. */
static int take_option(const struct cli_command *command, char **argv, int argc, int *at,
                       struct cli_options *ret)
{
    char name[64];
    const char *typed = argv[*at] + 2, *equals = strchr(typed, '=');
    snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - typed) : (int)strlen(typed), typed);
    const struct option *option = NULL;
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (strcmp(options_table[i].name, name) == 0)
            option = &options_table[i];
    if (!option)
        return unknown_option(name);
    if (!command_takes(command, name))
        return cli_usage("`rectify %s` does not take --%s", command->name, name);
    void *field = (char *)ret + option->offset;
    if (option->kind == FLAG) {
        *(bool *)field = true;
        return 0;
    }
    const char *value = equals ? equals + 1 : *at + 1 < argc ? argv[++*at] : NULL;
    if (!value || !value[0])
        return cli_usage("--%s wants a %s", name, option->value);
    if (option->kind == TEXT) {
        *(const char **)field = value;
        return 0;
    }
    int64_t n;
    if (!str_to_int64(str_from(value), &n) || n < 1 || n > 500)
        return cli_usage("--%s wants a number from 1 to 500", name);
    *(int *)field = (int)n;
    return 0;
}

/* -v, -cv, -j, -j4: options of one letter; a number is as many as there can be when it is not
 * given. 0, or the exit code. */
static int take_letters(const struct cli_command *command, const char *letters,
                        struct cli_options *ret)
{
    for (const char *p = letters; *p; p++) {
        const struct option *option = NULL;
        for (size_t i = 0; i < OPTION_COUNT; i++)
            if (options_table[i].letter == *p && command_takes(command, options_table[i].name))
                option = &options_table[i];
        if (!option)
            return cli_usage("`rectify %s` does not take -%c", command->name, *p);
        void *field = (char *)ret + option->offset;
        if (option->kind == FLAG) {
            *(bool *)field = true;
            continue;
        }
        int64_t n = -1;
        if (p[1] && (!str_to_int64(str_from(p + 1), &n) || n < 1 || n > 500))
            return cli_usage("-%c wants a number from 1 to 500, or none", *p);
        *(int *)field = (int)n;
        break;
    }
    return 0;
}

/* -o json, -o table; another word is a file where the command writes one. */
static int take_format(const struct cli_command *command, const char *format,
                       struct cli_options *ret)
{
    ret->json = ret->json || strcmp(format, "json") == 0;
    if (strcmp(format, "json") == 0 || strcmp(format, "table") == 0)
        return 0;
    if (!format[0] || !command_takes(command, "out"))
        return cli_usage("-o wants json or table");
    ret->out = format;
    return 0;
}

static const struct cli_command *find_command(int argc, char **argv, int *ret_words)
{
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        char two[64];
        snprintf(two, sizeof two, "%s %s", argv[1], argc > 2 ? argv[2] : "");
        *ret_words = strchr(c->name, ' ') ? 2 : 1;
        if (strcmp(c->name, *ret_words == 2 ? two : argv[1]) == 0)
            return c;
    }
    return NULL;
}

/* "generate" alone: the commands that begin with it. 0: none does. */
static int family(const char *typed)
{
    size_t length = strlen(typed), found = 0;
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        if (strncmp(c->name, typed, length) != 0 || c->name[length] != ' ')
            continue;
        fprintf(stderr, "%srectify %s %s\n        %s\n", found++ ? "" : "rectify: which one?\n",
                c->name, c->args, c->summary);
    }
    return found ? CLI_USAGE : 0;
}

static int unknown_command(const char *typed)
{
    const char *names[sizeof cli_commands / sizeof *cli_commands];
    size_t count = 0;
    int shown = family(typed);
    if (shown)
        return shown;
    for (const struct cli_command *c = cli_commands; c->name; c++)
        names[count++] = c->name;
    const char *near = str_nearest(str_from(typed), names, count);
    return near ? cli_usage("there is no command `%s`; did you mean `%s`?", typed, near)
                : cli_usage("there is no command `%s`", typed);
}

/* Keys and tokens are in this process: no core file, and no other process of the same user looks
 * in. LeakSanitizer has to. */
static void keep_memory_to_ourselves(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__
    (void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

static int run(int argc, char **argv)
{
    struct cli_options options = {.args = (const char *const *)argv};
    int words;
    if (argc < 2 && getenv("AWS_LAMBDA_RUNTIME_API"))
        return cli_lambda(&options);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return cli_help(&options);
    const struct cli_command *command = find_command(argc, argv, &words);
    if (!command)
        return unknown_command(argv[1]);
    for (int i = 1 + words; i < argc; i++) {
        int code = 0;
        if (strcmp(argv[i], "-o") == 0 && command_takes(command, "json")) {
            code = take_format(command, i + 1 < argc ? argv[++i] : "", &options);
        } else if (strcmp(argv[i], "--") == 0) { // what follows is no option
            while (++i < argc)
                argv[options.arg_count++] = argv[i];
        } else if (strcmp(argv[i], "-o") == 0 && i + 1 < argc && command_takes(command, "output")) {
            options.output = argv[++i];
        } else if (strcmp(argv[i], "-h") == 0) {
            options.help = true;
        } else if (strncmp(argv[i], "--", 2) == 0 && argv[i][2]) {
            code = take_option(command, argv, argc, &i, &options);
        } else if (argv[i][0] == '-' && isalpha((unsigned char)argv[i][1])) {
            code = take_letters(command, argv[i] + 1, &options);
        } else {
            argv[options.arg_count++] = argv[i]; // never past i: the words before are done with
        }
        if (code)
            return code;
    }
    if (options.help) {
        print_command(command);
        return CLI_OK;
    }
    return command->run(&options);
}

int main(int argc, char **argv)
{
    keep_memory_to_ourselves();
    return cli_end(run(argc, argv));
}
