// SPDX-License-Identifier: Apache-2.0
/* explain: why a remediation was decided so (an id like r12), what a function of the expression
 * language does, or what an error code means. Without a word: all functions and codes; with --all
 * the reference in Markdown, which is docs/cel.md. Only an id needs the store. */
#include "cli/cli.h"

#include <stdio.h>

#include "errors_page.h" // docs/errors.md

static bool is_public(const struct cel_function_help *help)
{
    return help->example != NULL;
}

/* ---- one function ---- */

static void add_forms(struct buf *out, size_t position, const char *indent)
{
    struct buf forms = {.arena = out->arena};
    cel_function_overloads(&forms, position);
    struct str rest = buf_str(&forms);
    while (rest.len) {
        struct str form = str_cut(&rest, '\n');
        buf_printf(out, "%s%.*s\n", indent, STR_FMT(form));
    }
}

static bool explain_function(struct buf *out, const char *word)
{
    struct cel_function_help help;
    bool found = false;
    for (size_t i = 0; cel_function_at(i, &help); i++) {
        if (strcmp(help.name, word) != 0 || !is_public(&help))
            continue;
        buf_printf(out, "%s%s  (%s)\n  %s\n\n", found ? "\n" : "", help.name, help.group,
                   help.help);
        add_forms(out, i, "  ");
        buf_printf(out, "\n  example, true: %s\n", help.example);
        found = true;
    }
    return found;
}

/* ---- one code ---- */

/* The row `| CODE | what happened | what to do |` of docs/errors.md. */
static bool explain_row(struct buf *out, struct str word)
{
    struct str rest = {errors_page, sizeof errors_page - 1};
    while (rest.len) {
        struct str row = str_cut(&rest, '\n');
        str_cut(&row, '|');
        if (!str_eq(str_trim(str_cut(&row, '|')), word))
            continue;
        struct str happened = str_trim(str_cut(&row, '|')), next = str_trim(str_cut(&row, '|'));
        buf_printf(out, "%.*s\n  %.*s\n  %.*s\n", STR_FMT(word), STR_FMT(happened), STR_FMT(next));
        return true;
    }
    return false;
}

static bool is_code(struct str word)
{
    bool digits = word.len == 5 && word.ptr[0] >= 'A' && word.ptr[0] <= 'Z';
    for (size_t i = 1; digits && i < word.len; i++)
        digits = word.ptr[i] >= '0' && word.ptr[i] <= '9';
    return digits;
}

static bool explain_code(struct buf *out, const char *word)
{
    size_t count;
    const struct cel_error_code *codes = cel_error_codes(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(codes[i].code, word) != 0)
            continue;
        buf_printf(out, "%s\n  %s\n  %s\n", codes[i].code, codes[i].meaning, codes[i].next);
        return true;
    }
    return is_code(str_from(word)) && explain_row(out, str_from(word));
}

/* ---- all of them ---- */

/* A line of at most 100 columns of names, then the next. */
static void add_name(struct buf *out, size_t *column, const char *name)
{
    size_t width = strlen(name) + 2;
    if (*column + width > 100) {
        buf_add_cstr(out, "\n   ");
        *column = 3;
    }
    buf_printf(out, "  %s", name);
    *column += width;
}

static void list_functions(struct buf *out)
{
    struct cel_function_help help;
    const char *group = "", *last = "";
    size_t column = 0;
    for (size_t i = 0; cel_function_at(i, &help); i++) {
        if (!is_public(&help) || (strcmp(help.name, last) == 0 && strcmp(help.group, group) == 0))
            continue;
        if (strcmp(help.group, group) != 0) {
            buf_printf(out, "%s%s\n   ", group[0] ? "\n" : "", help.group);
            column = 3;
        }
        group = help.group;
        last = help.name;
        add_name(out, &column, help.name);
    }
    buf_add_cstr(out, "\nerrors\n   ");
    size_t count;
    const struct cel_error_code *codes = cel_error_codes(&count);
    column = 3;
    for (size_t i = 0; i < count; i++)
        add_name(out, &column, codes[i].code);
    buf_add_cstr(
        out, "\n\nrectify explain NAME tells more; rectify explain --all all of it; what the other "
             "codes of errors mean: rectify explain CODE\n");
}

/* ---- the reference, in Markdown ---- */

/* A pipe would end the cell. */
static void add_cell(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            buf_add_byte(out, '\\');
        buf_add_byte(out, *text);
    }
}

static void reference_function(struct buf *out, size_t position,
                               const struct cel_function_help *help)
{
    buf_printf(out, "\n### `%s`\n\n", help->name);
    buf_printf(out, "%s\n\n```\n", help->help);
    add_forms(out, position, "");
    buf_printf(out, "```\n\nTrue: `%s`\n", help->example);
}

static void print_reference(struct buf *out)
{
    struct cel_function_help help;
    const char *group = "";
    size_t count;
    buf_add_cstr(
        out,
        "# The functions of the expression language\n\n"
        "Written by `rectify explain --all` from the table of functions that the checker and the\n"
        "evaluator use; a test holds this file against it and evaluates every example. A and B "
        "are\n"
        "any type, the same one wherever the letter stands. How expressions stand in policies:\n"
        "[policy.md](policy.md); how to try one: [howto/try-an-expression.md]"
        "(howto/try-an-expression.md).\n");
    for (size_t i = 0; cel_function_at(i, &help); i++) {
        if (!is_public(&help))
            continue;
        if (strcmp(help.group, group) != 0)
            buf_printf(out, "\n## %s\n", help.group);
        group = help.group;
        reference_function(out, i, &help);
    }
    const struct cel_error_code *codes = cel_error_codes(&count);
    buf_add_cstr(out,
                 "\n## Errors\n\n| code | what happened | what to do |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "| %s | ", codes[i].code);
        add_cell(out, codes[i].meaning);
        buf_add_cstr(out, " | ");
        add_cell(out, codes[i].next);
        buf_add_cstr(out, " |\n");
    }
}

/* ---- the command ---- */

#define NAMES_MAX 1000

static int unknown(const char *word)
{
    const char *names[NAMES_MAX];
    size_t count = 0, codes_count;
    struct cel_function_help help;
    const struct cel_error_code *codes = cel_error_codes(&codes_count);
    for (size_t i = 0; cel_function_at(i, &help) && count < NAMES_MAX; i++)
        if (is_public(&help))
            names[count++] = help.name;
    for (size_t i = 0; i < codes_count && count < NAMES_MAX; i++)
        names[count++] = codes[i].code;
    const char *near = str_nearest(str_from(word), names, count);
    for (size_t i = 0; !near && i < count; i++)
        if (strstr(names[i], word))
            near = names[i];
    return near ? cli_usage("`%s` is no remediation, function or error code; did you mean `%s`?",
                            word, near)
                : cli_usage("`%s` is no remediation, function or error code; `rectify explain` "
                            "lists them",
                            word);
}

int cli_explain(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct buf out = {.arena = &arena};
    int64_t id;
    if (options->arg_count > 1)
        return cli_usage("`explain` takes one id, function or error code");
    if (options->arg_count == 1 && cli_id(options, &id))
        return cli_explain_remediation(options);
    if (options->arg_count == 0 && options->all)
        print_reference(&out);
    else if (options->arg_count == 0)
        list_functions(&out);
    else if (!explain_function(&out, options->args[0]) && !explain_code(&out, options->args[0]))
        return unknown(options->args[0]);
    cli_print(&out);
    return CLI_OK;
}
