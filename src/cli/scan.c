// SPDX-License-Identifier: Apache-2.0
/* scan: what exists, through the policies' `detect.scan`, to its ends. */
#include "cli/running_internal.h"

#include <stdio.h>

#define REGIONS_MAX 64

/* The account of the credentials; asked for, as nothing else may say whose they are. */
static bool own_account(struct running *r, struct arena *arena, struct str *ret, struct error *err)
{
    struct aws_answer answer;
    struct aws_call call = {.operation =
                                aws_operation_find(r->models, STR("sts:GetCallerIdentity"), err),
                            .input = {.kind = VALUE_MAP}};
    if (!call.operation)
        return false;
    aws_call(r->client, &call, arena, &answer);
    *ret = value_path_str(answer.output, "Account");
    if (answer.outcome == AWS_OK && ret->len)
        return true;
    error_set(err, "L0012", "whose account to scan is not known: %.*s: %.*s", STR_FMT(answer.code),
              STR_FMT(answer.message));
    return error_hint(err, "credentials, or --account, say so");
}

/* One more than REGIONS_MAX: too many. */
static size_t read_regions(struct running *r, struct str regions[REGIONS_MAX + 1])
{
    struct str rest = r->options->region ? str_from(r->options->region) : (struct str){0};
    size_t count = 0;
    while (rest.len && count <= REGIONS_MAX)
        regions[count++] = str_trim(str_cut(&rest, ','));
    if (count == 0)
        regions[count++] = aws_client_region(r->client);
    return count;
}

static int scan(struct running *r, struct arena *arena)
{
    struct str regions[REGIONS_MAX + 1];
    struct engine_scanned scanned;
    struct error err;
    struct engine_scan_options options = {
        .policy = r->options->policy ? str_from(r->options->policy) : (struct str){0},
        .account = r->options->account ? str_from(r->options->account) : (struct str){0},
        .regions = regions,
        .region_count = read_regions(r, regions)};
    if (options.region_count > REGIONS_MAX)
        return cli_usage("--region takes at most %d", REGIONS_MAX);
    if (regions[0].len == 0)
        return cli_usage("scan needs --region, or AWS_REGION");
    if (options.account.len == 0 && !own_account(r, arena, &options.account, &err))
        return cli_fail(&err);
    if (!engine_scan(&r->engine, &options, &scanned, &err))
        return cli_fail(&err);
    fprintf(stderr, "%zu policies listed %zu resources\n", scanned.policies, scanned.resources);
    if (scanned.policies == 0)
        fprintf(stderr, "no policy here has `detect.scan`%s\n",
                options.policy.len ? " and that name" : "");
    r->expected = (int64_t)scanned.resources;
    int code = running_work_off(r, NULL);
    if (scanned.unread)
        cli_fail(&scanned.why);
    if (scanned.unusable)
        fprintf(stderr, "%zu ids of `scan.resources` name no resource\n", scanned.unusable);
    bool bad = scanned.unread || scanned.unusable || scanned.policies == 0;
    return bad ? CLI_FAILED : code;
}

int cli_scan(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct running r = {0};
    running_catch_signals();
    int code = running_prepare(&r, options);
    if (code == 0)
        code = scan(&r, &arena);
    running_finish(&r);
    return code;
}
