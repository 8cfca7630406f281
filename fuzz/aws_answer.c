// SPDX-License-Identifier: Apache-2.0
/* Any answer to any operation becomes an output or an error, and an error always has a code. The
 * first byte chooses the operation, the second the status; headers up to an empty line, then the
 * body. */
#include "aws/aws_internal.h"

#include "base/ensure.h"
#include "value/json.h"

#include <stdint.h>

#ifndef TEST_MODELS
#define TEST_MODELS "tests/unit/aws/models"
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
    "s3:GetBucketTagging",
    "s3:ListObjectsV2",
    "s3:GetBucketLocation",
    "s3:GetObject",
    "kms:DescribeKey",
    "sts:GetCallerIdentity",
    "iam:GetRole",
    "lambda:PutConcurrency",
    "ec2:DescribeSecurityGroups",
    "s3:CopyObject",
    "kms:Ping",
    "sts:AssumeRoleWithWebIdentity",
    "cborly:Echo",
};
#define NAME_COUNT (sizeof names / sizeof *names)
#define HEADERS_MAX 8

/* Opened once; fuzzing never closes them. */
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

static size_t take_headers(struct str *text, struct net_header *ret)
{
    size_t count = 0;
    while (count < HEADERS_MAX && text->len && text->ptr[0] != '\n') {
        struct str value = str_cut(text, '\n');
        ret[count].name = str_cut(&value, ':');
        ret[count++].value = value;
    }
    *text = str_sub(*text, 1, SIZE_MAX);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 204, 400, 404, 429, 503};
    ARENA_AUTO struct arena arena = {0};
    struct net_header headers[HEADERS_MAX] = {{{0}, {0}}};
    if (size < 2)
        return 0;
    const struct aws_operation *op = operation(data[0] % NAME_COUNT);
    struct str text = {(const char *)data + 2, size - 2};
    struct aws_http_answer answer = {.status = statuses[data[1] % 6], .headers = headers};
    answer.header_count = take_headers(&text, headers);
    answer.body = text;
    struct value output = value_int(7);
    struct error err = {0};
    struct buf out = {.arena = &arena};
    if (!aws_answer_is_ok(op, &answer)) {
        struct aws_service_error error;
        aws_parse_error(op, &answer, &arena, &error);
        ENSURE(error.code.len && str_is_utf8(error.code) && str_is_utf8(error.message));
        ENSURE(str_find_byte(error.message, '\n') == SIZE_MAX);
        json_write(&out, error.members, JSON_COMPACT);
    } else if (aws_parse_answer(op, &answer, &arena, &output, &err)) {
        ENSURE(output.kind == VALUE_MAP);
        json_write(&out, output, JSON_COMPACT);
    } else {
        ENSURE(output.i == 7 && err.code && err.code[0] == 'A');
    }
    return 0;
}
