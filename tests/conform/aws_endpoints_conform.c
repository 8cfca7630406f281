// SPDX-License-Identifier: Apache-2.0
/* conform_aws_endpoints DIR [MODELS]: endpoint rules. DIR has services/SERVICE.json (cases, whose
 * rule sets are the models'), unit-cases and unit-rules (cases with their own rule sets),
 * partitions.json. */
#include <dirent.h>

#include "aws/aws_internal.h"
#include "aws/endpoint.h"
#include "aws_versions.h"
#include "conform_file.h"

struct run {
    struct conform_result result;
    struct value partitions;
    struct aws_models *models;
};

static bool same_json(struct value got, const struct value *want)
{
    if (!want)
        return true;
    return value_equal(got, *want);
}

/* Rules templated per auth scheme keep what the case leaves out; only what it names is compared. */
static bool covers(struct value got, struct value want)
{
    if (want.kind == VALUE_MAP && got.kind == VALUE_MAP) {
        for (uint32_t i = 0; i < want.len; i++) {
            const struct value *v = value_get(got, value_str(want.pairs[i].key));
            if (!v || !covers(*v, want.pairs[i].value))
                return false;
        }
        return true;
    }
    if (want.kind == VALUE_LIST && got.kind == VALUE_LIST && want.len == got.len) {
        for (uint32_t i = 0; i < want.len; i++) {
            if (!covers(got.items[i], want.items[i]))
                return false;
        }
        return true;
    }
    return value_equal(got, want);
}

static void run_case(struct run *run, struct value rules, const char *file, struct value v)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct aws_endpoint endpoint = {0};
    const struct value *params = value_get(v, STR("params"));
    const struct value *want = value_path(v, "expect.endpoint");
    struct str error = value_path_str(v, "expect.error");
    const char *name =
        arena_printf(&arena, "%s: %.*s", file, STR_FMT(value_path_str(v, "documentation")));
    bool ok = aws_endpoint_evaluate(rules, run->partitions,
                                    params ? *params : (struct value){.kind = VALUE_MAP}, &arena,
                                    &endpoint, &err);
    if (!want) {
        if (ok || str_find(str_from(err.message), error) == SIZE_MAX)
            conform_fail_text(&run->result, str_from(name), error,
                              ok ? endpoint.url : str_from(err.message));
        else
            run->result.passed++;
        return;
    }
    if (!ok || !str_eq(endpoint.url, value_path_str(*want, "url"))) {
        conform_fail_text(&run->result, str_from(name), value_path_str(*want, "url"),
                          ok ? endpoint.url : str_from(err.message));
        return;
    }
    const struct value *properties = value_get(*want, STR("properties"));
    if ((properties && !covers(endpoint.properties, *properties)) ||
        !same_json(endpoint.headers, value_get(*want, STR("headers"))))
        conform_fail(&run->result, str_from(name), "properties or headers differ");
    else
        run->result.passed++;
}

static void run_cases(struct run *run, struct value rules, const char *file, struct value document)
{
    const struct value *cases = value_get(document, STR("testCases"));
    struct str service = {file, strlen(file) - strlen(".json")};
    for (uint32_t i = 0; cases && cases->kind == VALUE_LIST && i < cases->len; i++) {
        unsigned failed = run->result.failed;
        run_case(run, rules, file, cases->items[i]);
        excuse_version(&run->result, failed, run->models, service);
    }
}

static void run_service(struct run *run, const char *dir, const char *file)
{
    struct arena arena ARENA_AUTO = {0};
    struct value document;
    struct error err;
    const char *path = arena_printf(&arena, "%s/services/%s", dir, file);
    struct str name = {file, strlen(file) - strlen(".json")};
    if (!conform_read(&run->result, path, &arena, &document))
        return;
    const struct aws_service *service = aws_service_find(run->models, name, &err);
    struct value rules;
    if (service && !aws_service_endpoint_rules(service, &rules, &err)) {
        conform_fail(&run->result, name, err.message);
        return;
    }
    if (service) {
        run_cases(run, rules, file, document);
        return;
    }
    const struct value *cases = value_get(document, STR("testCases"));
    for (uint32_t i = 0; cases && i < cases->len; i++)
        printf("skip %.*s: the service is not among the models here\n", STR_FMT(name));
    run->result.skipped += cases ? cases->len : 0;
}

static void run_unit(struct run *run, const char *dir, const char *file)
{
    struct arena arena ARENA_AUTO = {0};
    struct value cases, rules;
    if (conform_read(&run->result, arena_printf(&arena, "%s/unit-cases/%s", dir, file), &arena,
                     &cases) &&
        conform_read(&run->result, arena_printf(&arena, "%s/unit-rules/%s", dir, file), &arena,
                     &rules))
        run_cases(run, rules, file, cases);
}

static void each_file(struct run *run, const char *dir, const char *sub,
                      void (*visit)(struct run *run, const char *dir, const char *file))
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", dir, sub);
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (str_ends(str_from(entries[i]->d_name), STR(".json")))
            visit(run, dir, entries[i]->d_name);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    struct run run = {0};
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    const char *models = argc > 2 ? argv[2] : getenv("RECTIFY_MODELS");
    if (argc < 2 || !conform_read(&run.result, arena_printf(&arena, "%s/partitions.json", argv[1]),
                                  &arena, &run.partitions))
        return 77;
    each_file(&run, argv[1], "unit-cases", run_unit);
    run.models = aws_models_open(models ? models : CONFORM_MODELS, &err);
    if (run.models)
        each_file(&run, argv[1], "services", run_service);
    else
        printf("skipped: the services, %s\n", err.message);
    aws_models_close(run.models);
    return conform_end(&run.result);
}
