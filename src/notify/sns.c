// SPDX-License-Identifier: Apache-2.0
/* An SNS topic, in the account and region that its ARN names and no other. */
#include "notify/notify_internal.h"

#define MESSAGE_MAX 200000u // of SNS's 256 KiB

static struct str arn_part(struct str arn, int n)
{
    struct str one = {0};
    for (int i = 0; i <= n; i++)
        one = str_cut(&arn, ':');
    return one;
}

static struct value input_of(const struct channel *channel, const struct notice *notices,
                             size_t count, struct arena *arena)
{
    struct value_builder out = {.arena = arena}, list = {.arena = arena}, whole = {.arena = arena};
    for (size_t i = 0; i < count; i++)
        value_push(&list, notices[i].body);
    value_set(&whole, "rectify", value_finish_list(&list));
    value_set(&whole, "text", value_string(text_line(&notices[0], arena)));
    struct str text = notify_json(arena, value_finish_map(&whole));
    value_set(&out, "TopicArn", value_string(channel->to));
    value_set(&out, "Message",
              value_string(text.len <= MESSAGE_MAX ? text : text_line(&notices[0], arena)));
    if (str_ends(channel->to, STR(".fifo"))) {
        value_set(&out, "MessageGroupId", value_cstr("rectify"));
        value_set(&out, "MessageDeduplicationId", value_string(notices[0].key));
    }
    return value_finish_map(&out);
}

void sns_send(const struct notify *notify, const struct channel *channel,
              const struct notice *notices, size_t count, struct arena *arena,
              struct notify_result *ret)
{
    struct error err;
    struct aws_answer answer;
    const struct aws_operation *publish =
        notify->models ? aws_operation_find(notify->models, STR("sns:Publish"), &err) : NULL;
    if (!publish || !notify->caller.call) {
        notify_fail(ret, NOTIFY_LATER, "SNS is not in the service models");
        return;
    }
    struct aws_call call = {.operation = publish,
                            .input = input_of(channel, notices, count, arena),
                            .region = arn_part(channel->to, 3),
                            .account = arn_part(channel->to, 4),
                            .deadline_ms = clock_steady_ms(notify->clock) + NOTIFY_DEADLINE_MS};
    notify->caller.call(notify->caller.ctx, &call, arena, &answer);
    if (answer.outcome == AWS_OK)
        ret->reference = value_path_str(answer.output, "MessageId");
    else
        notify_fail(ret, NOTIFY_LATER, "SNS: %.*s: %.*s", STR_FMT(answer.code),
                    STR_FMT(str_sub(answer.message, 0, 150)));
}
