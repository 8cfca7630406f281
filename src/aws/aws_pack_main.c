// SPDX-License-Identifier: Apache-2.0
/* aws_pack DATA_DIR OUT_DIR: the build's way to aws_models_pack(). */
#include "aws/aws.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct error err = {0};
    if (argc != 3) {
        fputs("usage: aws_pack BOTOCORE_DATA_DIR OUT_DIR\n", stderr);
        return 2;
    }
    if (!aws_models_pack(argv[1], argv[2], &err)) {
        fprintf(stderr, "aws_pack: %s\n", err.message);
        return 1;
    }
    return 0;
}
