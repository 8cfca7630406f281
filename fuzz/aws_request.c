// SPDX-License-Identifier: Apache-2.0
/* Any JSON as input of any operation becomes a request or a refusal; a request's path, query and
 * headers hold nothing that could end them early. The first byte chooses the operation. */
#include "aws/aws_internal.h"

#include "base/ensure.h"
#include "value/json.h"

#include <stdint.h>

#ifndef TEST_MODELS
#define TEST_MODELS "tests/unit/aws/models"
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
    "s3:PutBucketTagging",   "s3:PutObject",    "s3:CopyObject",
    "s3:ListObjectsV2",      "kms:CreateGrant", "sts:AssumeRole",
    "ec2:RunInstances",      "iam:GetRole",     "ec2:DescribeSecurityGroups",
    "lambda:PutConcurrency", "cborly:Echo",
};
#define NAME_COUNT (sizeof names / sizeof *names)

static const struct aws_operation *operation(size_t i)
{
    static const struct aws_operation *found[NAME_COUNT];
    static struct aws_models *models;
    struct error err = {0};
    if (!models)
        models = aws_models_open(TEST_MODELS, &err);
    ENSURE(models);
    if (!found[i])
        found[i] = aws_operation_find(models, str_from(names[i]), &err);
    ENSURE(found[i]);
    return found[i];
}

static void check_line(struct str text, const char *forbidden)
{
    for (size_t i = 0; i < text.len; i++)
        ENSURE(text.ptr[i] && !strchr(forbidden, text.ptr[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_AUTO struct arena arena = {0};
    struct value input;
    struct error err = {0};
    struct aws_http_request request;
    struct error_list errors = {.arena = &arena};
    if (size < 1 ||
        !json_parse(&arena, (struct str){(const char *)data + 1, size - 1}, &input, NULL))
        return 0;
    const struct aws_operation *op = operation(data[0] % NAME_COUNT);
    bool checked = aws_input_check(op, input, &errors);
    ENSURE(checked == (errors.count == 0));
    if (!aws_serialize(op, input, &arena, &request, &err) ||
        !aws_request_check(op, &request, &err)) {
        ENSURE(err.code && err.code[0] == 'A');
        return 0;
    }
    ENSURE(request.path.len && request.path.ptr[0] == '/' &&
           request.bucket_len <= request.path.len);
    check_line(request.path, " \r\n?#");
    check_line(request.query, " \r\n#");
    check_line(request.host_prefix, " \r\n/?#@:");
    for (size_t i = 0; i < request.header_count; i++) {
        check_line(request.headers[i].name, " \r\n:");
        check_line(request.headers[i].value, "\r\n");
    }
    return 0;
}
