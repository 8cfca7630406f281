// SPDX-License-Identifier: Apache-2.0
/* cmocka wants these first. */
#ifndef RECTIFY_TESTS_CMOCKA_ALL_H
#define RECTIFY_TESTS_CMOCKA_ALL_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#endif
