// SPDX-License-Identifier: Apache-2.0
/* The three calls to a queue. See queue.h. */
#include "detect/queue.h"

#include "base/ensure.h"

bool detect_queue_open(struct detect_queue *ret, const struct policy_source *source,
                       struct aws_models *models, struct error *err)
{
    *ret = (struct detect_queue){.source = source};
    ret->receive = aws_operation_find(models, STR("sqs:ReceiveMessage"), err);
    ret->remove =
        ret->receive ? aws_operation_find(models, STR("sqs:DeleteMessageBatch"), err) : NULL;
    ret->extend = ret->remove
                      ? aws_operation_find(models, STR("sqs:ChangeMessageVisibilityBatch"), err)
                      : NULL;
    return ret->extend != NULL;
}

static void call(const struct detect_queue *queue, struct aws_caller caller,
                 const struct aws_operation *operation, struct value_builder *input,
                 int64_t deadline_ms, struct arena *arena, struct aws_answer *ret)
{
    value_set(input, "QueueUrl", value_string(queue->source->queue));
    struct value map = value_finish_map(input);
    if (map.kind != VALUE_MAP) {
        *ret = (struct aws_answer){
            .outcome = AWS_NOT_SENT, .code = STR("T0005"), .message = STR("out of memory")};
        return;
    }
    struct aws_call one = {.operation = operation,
                           .input = map,
                           .region = queue->source->region,
                           .access = {.role = queue->source->role},
                           .deadline_ms = deadline_ms};
    caller.call(caller.ctx, &one, arena, ret);
}

/* A number in text, as SQS has its attributes. */
static int receives_of(struct value message)
{
    int64_t n;
    struct str text = value_path_str(message, "Attributes.ApproximateReceiveCount");
    return str_to_int64(text, &n) && n > 0 && n < INT32_MAX ? (int)n : 1;
}

void detect_queue_receive(const struct detect_queue *queue, struct aws_caller caller, int wait_s,
                          int visible_s, int64_t deadline_ms, struct arena *arena,
                          struct detect_message ret[DETECT_MESSAGES_MAX], size_t *ret_count,
                          struct aws_answer *ret_answer)
{
    struct value_builder input = {.arena = arena}, names = {.arena = arena};
    value_push(&names, value_cstr("ApproximateReceiveCount"));
    value_set(&input, "AttributeNames", value_finish_list(&names));
    value_set(&input, "MaxNumberOfMessages", value_int(DETECT_MESSAGES_MAX));
    value_set(&input, "VisibilityTimeout", value_int(visible_s));
    value_set(&input, "WaitTimeSeconds", value_int(wait_s));
    *ret_count = 0;
    call(queue, caller, queue->receive, &input, deadline_ms, arena, ret_answer);
    const struct value *list = value_get(ret_answer->output, STR("Messages"));
    if (ret_answer->outcome != AWS_OK || !list || list->kind != VALUE_LIST)
        return;
    for (uint32_t i = 0; i < list->len && *ret_count < DETECT_MESSAGES_MAX; i++) {
        struct value one = list->items[i];
        struct detect_message message = {.id = value_path_str(one, "MessageId"),
                                         .handle = value_path_str(one, "ReceiptHandle"),
                                         .body = value_path_str(one, "Body"),
                                         .receives = receives_of(one)};
        if (message.handle.len) // without one nothing can be done with it; it comes again
            ret[(*ret_count)++] = message;
    }
}

static const char *const batch_ids[DETECT_MESSAGES_MAX] = {"0", "1", "2", "3", "4",
                                                           "5", "6", "7", "8", "9"};

static struct value entries_of(const struct detect_message *messages, size_t count, int visible_s,
                               struct arena *arena)
{
    struct value_builder list = {.arena = arena};
    ENSURE(count <= DETECT_MESSAGES_MAX);
    for (size_t i = 0; i < count; i++) {
        struct value_builder one = {.arena = arena};
        value_set(&one, "Id", value_cstr(batch_ids[i]));
        value_set(&one, "ReceiptHandle", value_string(messages[i].handle));
        if (visible_s >= 0)
            value_set(&one, "VisibilityTimeout", value_int(visible_s));
        value_push(&list, value_finish_map(&one));
    }
    return value_finish_list(&list);
}

void detect_queue_remove(const struct detect_queue *queue, struct aws_caller caller,
                         const struct detect_message *messages, size_t count, struct arena *arena,
                         bool *done, struct aws_answer *ret_answer)
{
    struct value_builder input = {.arena = arena};
    value_set(&input, "Entries", entries_of(messages, count, -1, arena));
    call(queue, caller, queue->remove, &input, 0, arena, ret_answer);
    const struct value *list = value_get(ret_answer->output, STR("Successful"));
    for (size_t i = 0; i < count; i++) { // only what is said to be gone is gone
        done[i] = false;
        for (uint32_t k = 0;
             ret_answer->outcome == AWS_OK && list && list->kind == VALUE_LIST && k < list->len;
             k++)
            done[i] |= str_is(value_path_str(list->items[k], "Id"), batch_ids[i]);
    }
}

void detect_queue_extend(const struct detect_queue *queue, struct aws_caller caller,
                         const struct detect_message *messages, size_t count, int visible_s,
                         struct arena *arena, struct aws_answer *ret_answer)
{
    struct value_builder input = {.arena = arena};
    value_set(&input, "Entries", entries_of(messages, count, visible_s, arena));
    call(queue, caller, queue->extend, &input, 0, arena, ret_answer);
}

bool detect_queue_failed(const struct aws_answer *answer, const char *what, struct error *err)
{
    struct str code = answer->code;
    error_set(err, "T0010", "%s: %.*s: %.*s", what, STR_FMT(code), STR_FMT(answer->message));
    if (str_find(code, STR("NonExistentQueue")) != SIZE_MAX || str_is(code, "QueueDoesNotExist"))
        error_hint(err, "is the queue's URL right, and its region?");
    else if (str_starts(code, STR("AccessDenied")))
        error_hint(err, "sqs:ReceiveMessage, DeleteMessage and ChangeMessageVisibility are needed; "
                        "for files also s3:GetObject and cloudtrail:ListPublicKeys");
    return false;
}
