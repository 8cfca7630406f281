// SPDX-License-Identifier: Apache-2.0
/* rectify completion: a script for bash, which asks the program itself: given a command line up to
 * the cursor, the words that could be the last one. zsh and fish: pages.c. */
#include "aws/aws.h"
#include "cli/cli.h"

#include <stdio.h>

static const char script[] =
    "# source <(rectify completion bash)\n"
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

/* First words of commands, each once; with `first`, the second words of those that begin so. */
static void offer_commands(struct str first, struct str typed)
{
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        struct str rest = str_from(c->name), word = str_cut(&rest, ' ');
        bool again = c != cli_commands && str_starts(str_from(c[-1].name), word) && rest.len;
        if (first.len && rest.len && str_eq(word, first))
            offer(rest, typed, "");
        else if (!first.len && !again)
            offer(word, typed, "");
    }
}

/* The options of the command that a line begins with. */
static void offer_options(struct str line, struct str typed)
{
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        struct cli_option_text option;
        struct str name = str_from(c->name);
        if (!str_starts(line, name) || (line.len > name.len && line.ptr[name.len] != ' '))
            continue;
        for (size_t i = 0; cli_option_at(c, i, &option); i++) {
            char text[64];
            snprintf(text, sizeof text, "--%s", option.name);
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

/* What could stand at the end of a line that begins with the program's name. */
static void offer_words(const struct cli_options *options, struct str line)
{
    struct str rest = line, command = {0}, typed = {0};
    size_t words = 0;
    while (rest.ptr) {
        typed = str_cut(&rest, ' ');
        if (words == 1)
            command = typed;
        words += typed.len > 0 || !rest.ptr;
    }
    str_cut(&line, ' ');
    if (words <= 2)
        offer_commands((struct str){0}, typed);
    else if (str_starts(typed, STR("-")))
        offer_options(line, typed);
    else if (str_is(command, "aws"))
        offer_operations(options, typed);
    else if (words == 3)
        offer_commands(command, typed);
}

int cli_completion(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct buf out = {.arena = &arena};
    const char *what = options->arg_count ? options->args[0] : "bash";
    if (strcmp(what, "zsh") == 0)
        cli_add_zsh(&out);
    else if (strcmp(what, "fish") == 0)
        cli_add_fish(&out);
    else if (strcmp(what, "bash") == 0)
        buf_add_cstr(&out, script);
    else if (strchr(what, ' '))
        offer_words(options, str_from(what));
    else
        return cli_usage("there is completion for bash, zsh and fish, not for `%s`", what);
    cli_print(&out);
    return CLI_OK;
}
