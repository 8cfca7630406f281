// SPDX-License-Identifier: Apache-2.0
/* scan: what exists in all accounts and regions of the assignments, through the policies'
 * `detect.scan`, to its ends. */
#include "cli/running_internal.h"

#include "base/limits.h"

#include <stdio.h>

int cli_regions(const struct cli_options *options, struct str ret[LIMIT_REGIONS], size_t *ret_count)
{
    struct str rest = options->region ? str_from(options->region) : (struct str){0};
    *ret_count = 0;
    while (rest.len) {
        if (*ret_count == LIMIT_REGIONS)
            return cli_usage("--region takes at most %u", LIMIT_REGIONS);
        ret[(*ret_count)++] = str_trim(str_cut(&rest, ','));
    }
    return 0;
}

static void show_listing(void *ctx, size_t done, size_t all, size_t resources)
{
    struct running *r = ctx;
    char what[80];
    snprintf(what, sizeof what, "lists, %zu resources", resources);
    running_show_bar(r, done, all, what);
}

/* A list that cannot be had now does not keep the accounts that are known from being scanned. */
static bool discover(struct running *r)
{
    struct error err;
    struct engine_set *set = engine_rules_hold(r->rules);
    bool ok = engine_discover_now(&r->engine, set->policies, &err);
    engine_rules_release(set);
    if (!ok)
        cli_fail(&err);
    return ok;
}

static int scan(struct running *r)
{
    struct str regions[LIMIT_REGIONS];
    struct engine_scanned scanned;
    struct error err;
    struct engine_scan_options options = {
        .policy = r->options->policy ? str_from(r->options->policy) : (struct str){0},
        .account = r->options->account ? str_from(r->options->account) : (struct str){0},
        .regions = regions,
        .progress = show_listing,
        .progress_ctx = r};
    int code = cli_regions(r->options, regions, &options.region_count);
    if (code)
        return code;
    bool discovered = discover(r);
    bool ok = engine_scan(&r->engine, &options, &scanned, &err);
    running_end_bar(r);
    if (!ok)
        return cli_fail(&err);
    fprintf(stderr, "%zu policies listed %zu resources in %zu account%s\n", scanned.policies,
            scanned.resources, scanned.accounts, scanned.accounts == 1 ? "" : "s");
    if (scanned.policies == 0)
        fprintf(stderr, "no policy here has `detect.scan`%s\n",
                options.policy.len ? " and that name" : "");
    else if (scanned.lists == 0)
        fprintf(stderr, "nothing was looked at: no assignment lets them run there, or no region is "
                        "named (--region, AWS_REGION, `regions` in rectify.yaml)\n");
    r->expected = (int64_t)scanned.resources;
    code = running_work_off(r, NULL);
    if (scanned.unread) {
        cli_fail(&scanned.why);
        if (scanned.unread > 1)
            fprintf(stderr, "%zu lists could not be read\n", scanned.unread);
    }
    if (scanned.unusable)
        fprintf(stderr, "%zu ids of `scan.resources` name no resource\n", scanned.unusable);
    bool bad = scanned.unread || scanned.unusable || scanned.lists == 0 || !discovered;
    return bad ? CLI_FAILED : code;
}

int cli_scan(const struct cli_options *options)
{
    struct running r = {0};
    running_catch_signals();
    int code = running_prepare(&r, options);
    if (code == 0)
        code = scan(&r);
    running_finish(&r);
    return code;
}
