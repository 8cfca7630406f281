// SPDX-License-Identifier: Apache-2.0
/* audit show, audit verify. */
#include "cli/desk.h"

#include "audit/audit.h"

#include <stdio.h>

int cli_audit_show(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct desk desk;
    char path[64] = "/audit/records";
    int64_t id = 0;
    if (options->arg_count && !cli_id(options, &id))
        return cli_usage("`%s` is not an id like r12", options->args[0]);
    if (id)
        snprintf(path, sizeof path, "/remediations/r%lld/records", (long long)id);
    bool ok = desk_open(&desk, options, &err);
    for (int64_t from = 0; ok && from >= 0;) {
        struct value page;
        char number[24];
        snprintf(number, sizeof number, "%lld", (long long)from);
        struct http_param param = {STR("from"), str_from(number)};
        struct desk_question question = {"GET", path, &param, 1, {0}};
        arena_reset(&arena);
        ok = desk_ask(&desk, &question, &arena, &page, &err);
        const struct value *records = ok ? value_get(page, STR("records")) : NULL;
        for (uint32_t i = 0; records && i < records->len; i++)
            printf("%.*s\n", STR_FMT(value_path_str(records->items[i], "text")));
        const struct value *next = ok ? value_get(page, STR("next")) : NULL;
        from = next && next->kind == VALUE_INT ? next->i : -1;
    }
    int code = ok ? CLI_OK : cli_fail(&err);
    desk_close(&desk);
    return code;
}

bool cli_verify_log(struct store *store, struct arena *arena, struct value *ret, struct error *err)
{
    struct audit_result result;
    char hex[2 * HASH_SHA256_SIZE + 1];
    struct value_builder out = {.arena = arena};
    if (!audit_verify(store, NULL, NULL, NULL, &result, err))
        return false;
    hash_hex(result.root.bytes, sizeof result.root.bytes, hex);
    value_set(&out, "good", value_bool(result.good));
    value_set(&out, "leaves", value_int(result.size));
    value_set(&out, "root", value_string(str_copy(arena, str_from(hex))));
    if (!result.good) {
        value_set(&out, "problem", value_string(str_copy(arena, str_from(result.problem))));
        value_set(&out, "first_bad", value_int(result.first_bad));
    }
    *ret = value_finish_map(&out);
    return true;
}

int cli_audit_verify(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct value v;
    struct desk desk;
    bool ok = desk_open(&desk, options, &err) && desk_get(&desk, &arena, &v, &err, "/audit/verify");
    desk_close(&desk);
    if (!ok)
        return cli_fail(&err);
    const struct value *good = value_get(v, STR("good")), *leaves = value_get(v, STR("leaves"));
    bool is_good = good && good->kind == VALUE_BOOL && good->b;
    if (options->json)
        cli_print_json(&arena, v);
    else if (is_good)
        printf("good: %lld records, root %.*s\n", leaves ? (long long)leaves->i : 0,
               STR_FMT(value_path_str(v, "root")));
    if (!is_good) {
        error_set(&err, "L0010", "the log is damaged: %.*s", STR_FMT(value_path_str(v, "problem")));
        return cli_fail(&err);
    }
    return CLI_OK;
}
