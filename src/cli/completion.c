// SPDX-License-Identifier: Apache-2.0
/* rectify completion: a script for bash (and zsh's bashcompinit), which asks the program itself:
 * given a command line up to the cursor, the words that could be the last one. */
#include "aws/aws.h"
#include "cli/cli.h"

#include <stdio.h>

static const char script[] =
    "# source <(rectify completion)\n"
    "_rectify() {\n"
    "    local line=${COMP_LINE:0:COMP_POINT} last=${COMP_WORDS[COMP_CWORD]} word\n"
    "    local before=${line##* }\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r word; do\n"
    "        COMPREPLY+=(\"${word#\"${before%\"$last\"}\"}\")\n"
    "    done < <(\"${COMP_WORDS[0]}\" completion \"$line\" 2>/dev/null)\n"
    "    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *: ]] && compopt -o nospace\n"
    "}\n"
    "complete -o default -F _rectify rectify\n";

static void offer(struct str word, struct str typed, const char *end)
{
    if (str_starts(word, typed))
        printf("%.*s%s\n", STR_FMT(word), end);
}

static void offer_commands(struct str typed)
{
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        struct str rest = str_from(c->name), word = str_cut(&rest, ' ');
        bool again = c != cli_commands && str_starts(str_from(c[-1].name), word) && rest.len;
        if (!again)
            offer(word, typed, "");
    }
}

static void offer_options(struct str command, struct str typed)
{
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        struct str options = str_from(c->options);
        if (!str_is(command, c->name))
            continue;
        while (options.len) {
            char text[64];
            struct str name = str_cut(&options, ' ');
            snprintf(text, sizeof text, "--%.*s", STR_FMT(name));
            offer(str_from(text), typed, "");
        }
    }
}

/* Services, or with "s3:" typed, its operations. */
static void offer_operations(const struct cli_options *options, struct str typed)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct str rest = typed, service = str_cut(&rest, ':'), *names;
    bool chosen = str_find_byte(typed, ':') != SIZE_MAX;
    size_t count;
    struct aws_models *models = cli_open_models(options, &err);
    if (models &&
        aws_models_list(models, chosen ? service : (struct str){0}, &arena, &names, &count, &err)) {
        for (size_t i = 0; i < count; i++)
            offer(chosen ? STR_JOIN(&arena, service, STR(":"), names[i]) : names[i], typed,
                  chosen ? "" : ":");
    }
    aws_models_close(models);
}

int cli_completion(const struct cli_options *options)
{
    if (options->arg_count == 0) {
        fputs(script, stdout);
        return CLI_OK;
    }
    struct str rest = str_from(options->args[0]), command = {0}, typed = {0};
    size_t words = 0;
    while (rest.ptr) {
        typed = str_cut(&rest, ' ');
        if (words == 1)
            command = typed;
        words += typed.len > 0 || !rest.ptr;
    }
    if (words <= 2)
        offer_commands(typed);
    else if (str_starts(typed, STR("-")))
        offer_options(command, typed);
    else if (str_is(command, "aws"))
        offer_operations(options, typed);
    return CLI_OK;
}
