// SPDX-License-Identifier: Apache-2.0
/* generate iam, generate cloudformation, generate terraform: see generate/generate.h. */
#include "cli/cli.h"

#include "generate/generate.h"

#include <stdio.h>

enum what { IAM, CLOUDFORMATION, TERRAFORM };

/* {"read": ..., "act": ...}, or the one that --role wants. */
static bool make_iam(const struct cli_options *options, const struct generate_options *generate,
                     struct arena *arena, struct value *ret, struct error *err)
{
    struct value_builder out = {.arena = arena};
    struct value read, act;
    if (options->role && strcmp(options->role, "both") != 0)
        return generate_iam(generate,
                            strcmp(options->role, "read") == 0  ? GENERATE_READ
                            : strcmp(options->role, "act") == 0 ? GENERATE_ACT
                                                                : GENERATE_READ | GENERATE_ACT,
                            arena, ret, err);
    if (!generate_iam(generate, GENERATE_READ, arena, &read, err) ||
        !generate_iam(generate, GENERATE_ACT, arena, &act, err))
        return false;
    value_set(&out, "read", read);
    value_set(&out, "act", act);
    *ret = value_finish_map(&out);
    return true;
}

/* What is right and still surprises. */
static void tell(const struct generate_options *generate, struct arena *arena)
{
    size_t acting = 0;
    for (size_t i = 0; generate->account.len && i < policy_set_count(generate->policies); i++)
        acting += policy_set_assign(generate->policies, policy_set_at(generate->policies, i),
                                    generate->account, arena)
                      .mode > MODE_OBSERVE;
    if (generate->account.len && acting == 0)
        fprintf(stderr,
                "rectify: nothing acts in %.*s: no assignment in rectify.yaml lets a policy\n",
                STR_FMT(generate->account));
}

static bool print(const struct cli_options *options, const struct generate_options *generate,
                  enum what what, struct arena *arena, struct error *err)
{
    struct buf out = {.arena = arena};
    struct value v;
    if (what == TERRAFORM) {
        if (!generate_terraform(generate, arena, &out, err))
            return false;
        cli_print(&out);
        return true;
    }
    if (what == IAM ? !make_iam(options, generate, arena, &v, err)
                    : !generate_cloudformation(generate, arena, &v, err))
        return false;
    cli_print_json(arena, v);
    return true;
}

static int generate(const struct cli_options *options, enum what what)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct generate_options generate = {.account = str_from(options->account),
                                        .region = str_from(options->region),
                                        .hub = str_from(options->member_of)};
    if (options->member_of && !policy_is_account(generate.hub))
        return cli_usage("--member-of wants the hub's account, twelve digits, not `%s`",
                         options->member_of);
    if (options->member_of && !options->region)
        return cli_usage("--member-of wants --region too: where the hub's stack stands");
    if (options->account && !policy_is_account(generate.account))
        return cli_usage("--account wants twelve digits, not `%s`", options->account);
    if (options->role && strcmp(options->role, "read") != 0 && strcmp(options->role, "act") != 0 &&
        strcmp(options->role, "one") != 0 && strcmp(options->role, "both") != 0)
        return cli_usage("--role wants read, act, both (apart) or one (both in one document)");
    struct aws_models *models = cli_open_models(options, &err);
    if (!models)
        return cli_fail(&err);
    struct policy_set *policies = cli_load_policies(options, models);
    int code = policies ? CLI_OK : CLI_FAILED;
    generate.policies = policies;
    if (policies) {
        tell(&generate, &arena);
        if (!print(options, &generate, what, &arena, &err))
            code = cli_fail(&err);
    }
    policy_set_destroy(policies);
    aws_models_close(models);
    return code;
}

int cli_generate_iam(const struct cli_options *options)
{
    return generate(options, IAM);
}

int cli_generate_cloudformation(const struct cli_options *options)
{
    return generate(options, CLOUDFORMATION);
}

int cli_generate_terraform(const struct cli_options *options)
{
    return generate(options, TERRAFORM);
}
