// SPDX-License-Identifier: Apache-2.0
/* Errors: what happened, where, and what to do next.
 *
 * `struct error` is filled by the function that fails, whose last parameter it is (NULL is allowed
 * everywhere: the caller then does not care). `code` is stable and has its page
 * (`rectify explain CODE`); it points to static memory. `file`, `line`, `column` say where in the
 * user's input; line and column are 1-based, columns count code points, 0 = unknown. Callers add
 * context on the way up with error_context(): "loading policies: s3.yaml: ...".
 * Libraries never print and never exit. */
#ifndef RECTIFY_BASE_ERROR_H
#define RECTIFY_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"

#define ERROR_MESSAGE_MAX 512

struct error {
    const char *code;                // "P0107"; NULL = no error
    char message[ERROR_MESSAGE_MAX]; // one line; cut with "..." when longer
    char file[256];                  // "" = none
    unsigned line, column;           // 1-based, 0 = unknown
    unsigned span;                   // code points to underline, 0 = 1
    char source_line[256];           // the line of input that is underlined, "" = none
    char hint[256];                  // what to do next ("did you mean `filter`?"), "" = none
};

/* Sets code and message (printf), clears the rest. Always returns false, so that a failing function
 * can `return error_set(err, ...)`. */
bool error_set(struct error *err, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds "what: " before the message. Returns false. */
bool error_context(struct error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool error_hint(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Places the error at `offset` of `source` (the text of `file`): line, column, source_line. */
void error_place(struct error *err, const char *file, struct str source, size_t offset,
                 unsigned span);

/* All errors of a compilation. At most ERROR_LIST_MAX are kept; `count` counts on. */
#define ERROR_LIST_MAX 50
struct error_list {
    struct arena *arena;
    struct error *items[ERROR_LIST_MAX];
    size_t count;
};
/* Appends a copy of `err`; without memory for it, P0199. */
void error_list_add(struct error_list *list, const struct error *err);

/* rustc-like, several lines, caret under wide characters correct:
 *   error[P0107]: unknown key `filter`
 *     --> policies/s3.yaml:9:5
 *      |
 *    9 |     filter:
 *      |     ^^^^^^
 *      = help: did you mean `filters`?
 * Control characters of the input are shown escaped. */
void error_print(struct buf *out, const struct error *err);

#endif
