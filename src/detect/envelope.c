// SPDX-License-Identifier: Apache-2.0
/* EventBridge's envelope around a bare CloudTrail record, as CloudTrail itself would have sent it.
 * See detect.h. */
#include "detect/detect_internal.h"

#include "value/json.h"
#include "value/json_member.h"

static struct str detail_type(struct str event_type)
{
    if (str_is(event_type, "AwsServiceEvent"))
        return STR("AWS Service Event via CloudTrail");
    if (str_is(event_type, "AwsConsoleSignIn"))
        return STR("AWS Console Sign In via CloudTrail");
    if (str_is(event_type, "AwsConsoleAction"))
        return STR("AWS Console Action via CloudTrail");
    return STR("AWS API Call via CloudTrail");
}

/* What the envelope takes from the record, by the names that it has there. */
enum part { ID, TYPE, SOURCE, ACCOUNT, TIME, REGION, PARTS };
static const char *const part_names[PARTS] = {"eventID",
                                              "eventType",
                                              "eventSource",
                                              "recipientAccountId", // never the caller's
                                              "eventTime",
                                              "awsRegion"};

struct record {
    struct str parts[PARTS];
    bool named, wrapped; // it has an eventName; it is an envelope already
};

static bool read_record(struct str text, struct arena *arena, struct record *ret)
{
    struct json_members members;
    struct record record = {0};
    bool source = false, detail = false;
    if (!json_members_begin(&members, text, arena))
        return false;
    while (json_members_next(&members)) {
        for (unsigned i = 0; i < PARTS; i++)
            if (str_is(members.name, part_names[i]))
                record.parts[i] = json_members_string(&members);
        record.named |= str_is(members.name, "eventName");
        source |= str_is(members.name, "source");
        detail |= str_is(members.name, "detail");
    }
    record.wrapped = source && detail;
    *ret = record;
    return true;
}

bool detect_wrap(struct str text, struct arena *arena, struct str *ret, struct error *err)
{
    struct record r;
    struct buf out = {.arena = arena};
    if (!read_record(text, arena, &r))
        return error_set(err, "T0005", "out of memory");
    if (r.wrapped || !r.named || !r.parts[SOURCE].ptr) {
        *ret = text;
        return true;
    }
    struct str rest = r.parts[SOURCE], service = str_cut(&rest, '.');
    struct value_builder head = {.arena = arena};
    value_set(&head, "version", value_cstr("0"));
    value_set(&head, "id", value_string(r.parts[ID]));
    value_set(&head, "detail-type", value_string(detail_type(r.parts[TYPE])));
    value_set(&head, "source", value_cstr(arena_printf(arena, "aws.%.*s", STR_FMT(service))));
    value_set(&head, "account", value_string(r.parts[ACCOUNT]));
    value_set(&head, "time", value_string(r.parts[TIME]));
    value_set(&head, "region", value_string(r.parts[REGION]));
    value_set(&head, "resources", value_list(NULL, 0));
    json_write(&out, value_finish_map(&head), JSON_COMPACT);
    if (out.len)
        out.len--; // the closing brace
    buf_add_cstr(&out, ",\"detail\":");
    buf_add_str(&out, text);
    buf_add_byte(&out, '}');
    *ret = buf_str(&out);
    return ret->ptr != NULL || error_set(err, "T0005", "out of memory");
}
