// SPDX-License-Identifier: Apache-2.0
/* Jira, Cloud (REST v3, texts in ADF, Basic) and Data Center (REST v2, plain texts, Bearer). An
 * issue is made once: it carries a label of its own, which is looked for before. A thread's
 * reference is the issue's key. Ids of transitions differ from workflow to workflow, so they are
 * looked up by name each time. */
#include "notify/notify_internal.h"

#include "base/hash.h"
#include "value/json.h"

#include <stdio.h>

#define SUMMARY_MAX 200
#define TEXT_MAX 20000

struct jira {
    const struct notify *notify;
    const struct channel *channel;
    struct arena *arena;
    struct notify_result *ret;
    struct str authorization;
    bool cloud;
};

static bool begin(struct jira *j)
{
    struct error err;
    struct str token;
    j->cloud = j->channel->user.len > 0;
    if (!j->cloud)
        return notify_bearer(j->channel, j->arena, &j->authorization, j->ret);
    if (!secret_read(j->channel->token, j->arena, &token, &err)) {
        notify_fail(j->ret, NOTIFY_LATER, "%s", err.message);
        return false;
    }
    struct str pair = STR_JOIN(j->arena, j->channel->user, STR(":"), token);
    j->authorization = STR_JOIN(j->arena, STR("Basic "), hash_base64(j->arena, pair));
    return true;
}

/* `path` stands behind /rest/api/N/. A null body is GET. */
static bool call(struct jira *j, struct str path, struct value body, struct value *ret_answer)
{
    struct net_answer answer;
    struct error err;
    bool get = body.kind == VALUE_NULL;
    struct notify_call request = {
        .method = get ? "GET" : "POST",
        .url = STR_JOIN(j->arena, j->channel->url,
                        j->cloud ? STR("/rest/api/3/") : STR("/rest/api/2/"), path),
        .body = !get ? notify_json(j->arena, body) : (struct str){0},
        .authorization = j->authorization};
    *ret_answer = value_null();
    if (!notify_call(j->notify, j->channel, &request, j->arena, &answer, j->ret))
        return false;
    if (answer.body.len && !json_parse(j->arena, answer.body, ret_answer, &err)) {
        notify_fail(j->ret, NOTIFY_LATER, "Jira's answer is not JSON");
        return false;
    }
    return true;
}

static bool is_issue_key(struct str s)
{
    bool ok = s.len > 0 && s.len <= 64;
    for (size_t i = 0; ok && i < s.len; i++)
        ok = (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z') || (s.ptr[i] >= 'a' && s.ptr[i] <= 'z') ||
             (s.ptr[i] >= '0' && s.ptr[i] <= '9') || s.ptr[i] == '-' || s.ptr[i] == '_';
    return ok;
}

/* ---- texts ---- */

static struct value text_node(struct arena *arena, const char *type, struct value content)
{
    struct value_builder out = {.arena = arena};
    value_set(&out, "type", value_cstr(type));
    value_set(&out, "content", content);
    return value_finish_map(&out);
}

/* ADF: text nodes know no markup. A code block, as it keeps lines. Data Center: {noformat}. */
static struct value document(struct jira *j, struct str text)
{
    struct value_builder leaf = {.arena = j->arena}, out = {.arena = j->arena};
    struct value_builder inner = {.arena = j->arena}, outer = {.arena = j->arena};
    text = text_safe(text, TEXT_MAX, true, j->arena);
    if (!j->cloud) {
        struct buf plain = {.arena = j->arena};
        buf_add_cstr(&plain, "{noformat}\n");
        for (size_t i = 0; i < text.len; i++) // nothing within may end it
            buf_add_byte(&plain, text.ptr[i] == '{' &&
                                         str_starts(str_sub(text, i, SIZE_MAX), STR("{noformat"))
                                     ? '('
                                     : text.ptr[i]);
        buf_add_cstr(&plain, "\n{noformat}");
        return value_string(buf_str(&plain));
    }
    value_set(&leaf, "type", value_cstr("text"));
    value_set(&leaf, "text", value_string(text.len ? text : STR(" ")));
    value_push(&inner, value_finish_map(&leaf));
    value_push(&outer, text_node(j->arena, "codeBlock", value_finish_list(&inner)));
    value_set(&out, "type", value_cstr("doc"));
    value_set(&out, "version", value_int(1));
    value_set(&out, "content", value_finish_list(&outer));
    return value_finish_map(&out);
}

static struct str description(struct jira *j, const struct notice *notice)
{
    struct str changes = text_changes(notice, j->arena), calls = text_calls(notice, j->arena);
    struct buf out = {.arena = j->arena};
    buf_add_str(&out, text_line(notice, j->arena));
    buf_add_cstr(&out, "\n\n");
    buf_add_str(&out, text_facts(notice, j->arena));
    if (calls.len) {
        buf_add_cstr(&out, "\n\nWhat would be called:\n");
        buf_add_str(&out, calls);
    }
    if (changes.len) {
        buf_add_cstr(&out, "\n\nWhat that changes:\n");
        buf_add_str(&out, changes);
    }
    if (str_is(notice->kind, "ask"))
        buf_printf(&out,
                   "\n\nMove this issue to \"%.*s\" to approve exactly this, to \"%.*s\" to "
                   "deny it.",
                   STR_FMT(j->channel->approve), STR_FMT(j->channel->deny));
    return buf_str(&out);
}

/* ---- making ---- */

static struct str label_of(const struct notice *notice, struct arena *arena)
{
    struct str ask = value_path_str(notice->body, "ask");
    struct str what = ask.len ? str_sub(ask, 0, 16) : notice->key;
    return STR_JOIN(arena, STR("rectify-"), value_path_str(notice->body, "id"), STR("-"), what);
}

/* The issue that has the label, if there is one. */
static bool find_issue(struct jira *j, struct str label, struct str *ret_key)
{
    struct value_builder out = {.arena = j->arena}, fields = {.arena = j->arena};
    struct value answer;
    const char *jql = arena_printf(j->arena, "project = \"%.*s\" AND labels = \"%.*s\"",
                                   STR_FMT(j->channel->to), STR_FMT(label));
    value_push(&fields, value_cstr("status"));
    value_set(&out, "jql", value_cstr(jql));
    value_set(&out, "maxResults", value_int(1));
    value_set(&out, "fields", value_finish_list(&fields));
    if (!call(j, j->cloud ? STR("search/jql") : STR("search"), value_finish_map(&out), &answer))
        return false;
    *ret_key = value_path_str(answer, "issues.0.key");
    return true;
}

static bool make_issue(struct jira *j, const struct notice *notice, struct str label,
                       struct str *ret_key)
{
    struct value_builder fields = {.arena = j->arena}, project = {.arena = j->arena};
    struct value_builder type = {.arena = j->arena}, labels = {.arena = j->arena};
    struct value_builder out = {.arena = j->arena};
    struct value answer;
    struct str heading = value_path_str(notice->body, "heading");
    value_set(&project, "key", value_string(j->channel->to));
    value_set(&type, "name", value_string(j->channel->issue_type));
    value_push(&labels, value_string(label));
    value_set(&fields, "project", value_finish_map(&project));
    value_set(&fields, "issuetype", value_finish_map(&type));
    value_set(&fields, "labels", value_finish_list(&labels));
    value_set(&fields, "summary",
              value_string(text_safe(heading.len ? heading : text_line(notice, j->arena),
                                     SUMMARY_MAX, false, j->arena)));
    value_set(&fields, "description", document(j, description(j, notice)));
    value_set(&out, "fields", value_finish_map(&fields));
    if (!call(j, STR("issue"), value_finish_map(&out), &answer))
        return false;
    *ret_key = value_path_str(answer, "key");
    return true;
}

/* ---- closing ---- */

static bool was_commented(struct value issue, struct str mark, struct arena *arena)
{
    const struct value *comments = value_path(issue, "fields.comment");
    struct str text = comments ? notify_json(arena, *comments) : (struct str){0};
    return text.len && str_find(text, mark) != SIZE_MAX;
}

static bool comment(struct jira *j, struct str issue, struct str text)
{
    struct value_builder out = {.arena = j->arena};
    struct value answer;
    value_set(&out, "body", document(j, text));
    return call(j, STR_JOIN(j->arena, STR("issue/"), issue, STR("/comment")),
                value_finish_map(&out), &answer);
}

/* To the status of that name, if the workflow leads there from here. */
static bool move(struct jira *j, struct str issue, struct str status)
{
    struct str path = STR_JOIN(j->arena, STR("issue/"), issue, STR("/transitions"));
    struct value_builder out = {.arena = j->arena}, to = {.arena = j->arena};
    struct value answer;
    if (!call(j, path, value_null(), &answer))
        return false;
    const struct value *list = value_get(answer, STR("transitions"));
    for (uint32_t i = 0; list && list->kind == VALUE_LIST && i < list->len; i++) {
        struct value one = list->items[i];
        if (!str_eq_nocase(value_path_str(one, "to.name"), status) &&
            !str_eq_nocase(value_path_str(one, "name"), status))
            continue;
        value_set(&to, "id", value_string(value_path_str(one, "id")));
        value_set(&out, "transition", value_finish_map(&to));
        return call(j, path, value_finish_map(&out), &answer);
    }
    notify_fail(j->ret, NOTIFY_NEVER, "the workflow of %.*s has no way to \"%.*s\" from there",
                STR_FMT(issue), STR_FMT(status));
    return false;
}

static bool read_issue(struct jira *j, struct str key, const char *query, struct value *ret)
{
    if (!is_issue_key(key)) {
        notify_fail(j->ret, NOTIFY_NEVER, "not the key of an issue");
        return false;
    }
    return call(j, STR_JOIN(j->arena, STR("issue/"), key, str_from(query)), value_null(), ret);
}

static bool close_issue(struct jira *j, const struct notice *notice)
{
    struct str mark = STR_JOIN(j->arena, STR("["), notice->key, STR("]"));
    struct str key = notice->reference;
    struct value issue;
    if (!read_issue(j, key, "?fields=status,comment", &issue))
        return false;
    if (!was_commented(issue, mark, j->arena) &&
        !comment(j, key, STR_JOIN(j->arena, text_line(notice, j->arena), STR(" "), mark)))
        return false;
    struct str status = value_path_str(issue, "fields.status.name");
    return str_is(notice->kind, "update") || !j->channel->done.len ||
           str_eq_nocase(status, j->channel->done) || move(j, key, j->channel->done);
}

void jira_send(const struct notify *notify, const struct channel *channel,
               const struct notice *notices, size_t count, struct arena *arena,
               struct notify_result *ret)
{
    struct jira j = {notify, channel, arena, ret, {0}, false};
    struct str key = {0}, label = label_of(&notices[0], arena);
    bool close = str_is(notices[0].kind, "close") || str_is(notices[0].kind, "update");
    (void)count;
    if ((close && !notices[0].reference.len) || !begin(&j)) // never asked here: nothing to close
        return;
    if (close) {
        (void)close_issue(&j, &notices[0]);
        return;
    }
    if (!find_issue(&j, label, &key) || (!key.len && !make_issue(&j, &notices[0], label, &key)))
        return;
    if (is_issue_key(key))
        ret->reference = key;
    else
        notify_fail(ret, NOTIFY_LATER, "Jira's answer has no issue key");
}

/* ---- looking ---- */

/* "2026-01-05T10:00:00.000+0000": the offset lacks its colon. */
static bool parse_time(struct str text, int64_t *ret)
{
    char fixed[64];
    if (text.len < 6 || text.len > 60)
        return false;
    bool plain = text.ptr[text.len - 5] == '+' || text.ptr[text.len - 5] == '-';
    snprintf(fixed, sizeof fixed, "%.*s%s%.*s", (int)(text.len - (plain ? 2 : 0)), text.ptr,
             plain ? ":" : "", plain ? 2 : 0, text.ptr + text.len - 2);
    return clock_parse(str_from(fixed), ret);
}

static struct str person_of(struct value author)
{
    struct str id = value_path_str(author, "accountId");
    return id.len ? id : value_path_str(author, "name");
}

/* Who moved it to the status that it has, and when. */
static void find_mover(struct value issue, struct str status, struct jira_status *ret)
{
    const struct value *histories = value_path(issue, "changelog.histories");
    for (uint32_t i = 0; histories && histories->kind == VALUE_LIST && i < histories->len; i++) {
        struct value one = histories->items[i];
        const struct value *items = value_get(one, STR("items"));
        const struct value *author = value_get(one, STR("author"));
        int64_t at;
        for (uint32_t k = 0; items && items->kind == VALUE_LIST && k < items->len; k++) {
            if (!author || !str_is(value_path_str(items->items[k], "field"), "status") ||
                !str_eq_nocase(value_path_str(items->items[k], "toString"), status) ||
                !parse_time(value_path_str(one, "created"), &at) || at < ret->at_ms)
                continue;
            ret->at_ms = at;
            ret->by = person_of(*author);
        }
    }
}

/* The text of an ADF document, or a plain one. */
static void add_words(struct value body, struct buf *out)
{
    if (body.kind == VALUE_STRING)
        buf_add_str(out, value_str(body));
    const struct value *text = value_get(body, STR("text"));
    const struct value *content = value_get(body, STR("content"));
    if (text)
        buf_add_str(out, value_str(*text));
    for (uint32_t i = 0; content && content->kind == VALUE_LIST && i < content->len; i++)
        add_words(content->items[i], out);
}

static void find_comment(struct value issue, struct arena *arena, struct jira_status *ret)
{
    const struct value *list = value_path(issue, "fields.comment.comments");
    for (uint32_t i = 0; list && list->kind == VALUE_LIST && i < list->len; i++) {
        const struct value *author = value_get(list->items[i], STR("author"));
        const struct value *body = value_get(list->items[i], STR("body"));
        struct buf words = {.arena = arena};
        if (!author || !body || !str_eq(person_of(*author), ret->by))
            continue;
        add_words(*body, &words);
        ret->comment = buf_str(&words);
    }
}

bool notify_jira_look(const struct notify *notify, const struct channel *channel, struct str issue,
                      struct arena *arena, struct jira_status *ret_status,
                      struct notify_result *ret)
{
    struct jira j = {notify, channel, arena, ret, {0}, false};
    struct jira_status found = {0};
    struct value v;
    *ret = (struct notify_result){.outcome = NOTIFY_SENT};
    if (!begin(&j) || !read_issue(&j, issue, "?fields=status,comment&expand=changelog", &v))
        return false;
    struct str status = value_path_str(v, "fields.status.name");
    find_mover(v, status, &found);
    if (found.by.len) { // a status that nobody is known to have set decides nothing
        found.yes = str_eq_nocase(status, channel->approve);
        found.no = !found.yes && str_eq_nocase(status, channel->deny);
        find_comment(v, arena, &found);
    }
    *ret_status = found;
    return true;
}

bool jira_check(const struct notify *notify, const struct channel *channel, struct arena *arena,
                struct notify_result *ret)
{
    struct jira j = {notify, channel, arena, ret, {0}, false};
    struct value v;
    return begin(&j) && call(&j, STR("myself"), value_null(), &v);
}
