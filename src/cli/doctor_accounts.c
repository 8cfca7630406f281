// SPDX-License-Identifier: Apache-2.0
/* doctor's look at the accounts: each role that an assignment names is assumed, and the
 * organisation is asked for its list. Nothing is read but who we are. */
#include "cli/doctor_internal.h"

#include <stdio.h>

#define ACCOUNTS_MAX 100 // looked at; each costs a call a role
#define ROLES_MAX 8      // of one account

struct looking {
    const struct doctor_look *look;
    const struct policy_account *account;
    struct aws_access seen[ROLES_MAX];
    size_t count;
    char good[400]; // "rectify-read, rectify-act"
    bool failed;
};

static bool same(const struct aws_access *a, const struct aws_access *b)
{
    return str_eq(a->role, b->role) && a->via == b->via && str_eq(a->external_id, b->external_id);
}

/* Can the role be assumed, and is it the account's? */
static bool try_access(const struct doctor_look *look, struct str account,
                       const struct aws_access *access, struct arena *arena, struct str *ret_why)
{
    struct error err;
    struct aws_answer answer;
    struct aws_call call = {
        .operation = aws_operation_find(look->models, STR("sts:GetCallerIdentity"), &err),
        .input = {.kind = VALUE_MAP},
        .region = look->region,
        .access = *access,
        .account = account};
    if (!call.operation) {
        *ret_why = str_copy(arena, str_from(err.message));
        return false;
    }
    aws_call(look->client, &call, arena, &answer);
    *ret_why = answer.message;
    return answer.outcome == AWS_OK;
}

static void look_at(struct looking *l, const struct aws_access *access, const char *what)
{
    struct str why;
    char name[64], detail[600];
    for (size_t i = 0; i < l->count; i++)
        if (same(&l->seen[i], access))
            return;
    if (l->count == ROLES_MAX)
        return;
    l->seen[l->count++] = *access;
    struct str role = access->role.len ? access->role : STR("the base credentials");
    if (try_access(l->look, l->account->id, access, l->look->arena, &why)) {
        size_t used = strlen(l->good);
        snprintf(l->good + used, sizeof l->good - used, "%s%.*s", used ? ", " : "", STR_FMT(role));
        return;
    }
    l->failed = true;
    snprintf(name, sizeof name, "account %.*s", STR_FMT(l->account->id));
    snprintf(detail, sizeof detail, "%s, %.*s: %.*s", what, STR_FMT(role), STR_FMT(why));
    l->look->say(l->look->ctx, false, name,
                 "let the role's trust policy name our credentials (and the external id), or "
                 "correct `roles` in rectify.yaml",
                 detail);
}

static void look_at_account(const struct doctor_look *look, const struct policy_account *account)
{
    struct looking l = {.look = look, .account = account};
    char name[64];
    size_t assigned = 0;
    for (size_t i = 0; i < policy_set_count(look->policies); i++) {
        struct policy_assignment a = policy_set_assign(
            look->policies, policy_set_at(look->policies, i), account->id, look->arena);
        if (a.mode == MODE_OFF)
            continue;
        assigned++;
        look_at(&l, &a.read, "reading");
        if (a.mode > MODE_OBSERVE)
            look_at(&l, &a.act, "acting");
    }
    snprintf(name, sizeof name, "account %.*s", STR_FMT(account->id));
    if (assigned == 0)
        look->say(look->ctx, true, name, NULL, "no policy is assigned there");
    else if (!l.failed)
        look->say(look->ctx, true, name, NULL, l.good);
}

static void look_at_organization(const struct doctor_look *look)
{
    const struct policy_organization *o = policy_set_organization(look->policies);
    struct str why;
    char detail[600];
    if (!o)
        return;
    bool ok = try_access(look, o->account, &o->access, look->arena, &why);
    snprintf(detail, sizeof detail, "account %.*s%s%.*s", STR_FMT(o->account), ok ? "" : ": ",
             STR_FMT(ok ? STR("") : why));
    look->say(look->ctx, ok, "organization",
              "correct `organization` in rectify.yaml; until then the last list stays in use",
              detail);
}

void doctor_look_at_accounts(const struct doctor_look *look)
{
    struct policy_account *accounts;
    size_t count;
    char detail[100];
    look_at_organization(look);
    if (!policy_set_accounts(look->policies, look->arena, &accounts, &count))
        return;
    for (size_t i = 0; i < count && i < ACCOUNTS_MAX; i++)
        look_at_account(look, &accounts[i]);
    snprintf(detail, sizeof detail, "%zu more were not looked at", count - ACCOUNTS_MAX);
    if (count > ACCOUNTS_MAX)
        look->say(look->ctx, true, "accounts", NULL, detail);
}
