// SPDX-License-Identifier: Apache-2.0
/* What is made from the table of commands: completion for zsh and fish (bash: completion.c), the
 * manual page; and the schemas for editors, from the table of keys. */
#include "cli/cli.h"

#include <stdio.h>

/* The first words of the commands, each once. */
static bool is_repeated(const struct cli_command *c)
{
    struct str rest = str_from(c->name), word = str_cut(&rest, ' ');
    for (const struct cli_command *before = cli_commands; before < c; before++) {
        struct str name = str_from(before->name);
        if (str_eq(str_cut(&name, ' '), word))
            return true;
    }
    return false;
}

static struct str first_word(const struct cli_command *c)
{
    struct str rest = str_from(c->name);
    return str_cut(&rest, ' ');
}

/* Empty for commands of one word. */
static struct str second_word(const struct cli_command *c)
{
    struct str rest = str_from(c->name);
    str_cut(&rest, ' ');
    return rest;
}

/* ---- zsh ---- */

/* Text within single quotes of a shell, without what _arguments and _describe read as their own. */
static void add_quoted(struct buf *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\'')
            buf_add_cstr(out, "'\\''");
        else if (*p == '[' || *p == ']' || *p == ':')
            buf_printf(out, "\\%c", *p);
        else
            buf_add_byte(out, *p);
    }
}

static void add_zsh_options(struct buf *out, const struct cli_command *c)
{
    struct cli_option_text option;
    buf_add_cstr(out, "_arguments");
    for (size_t i = 0; cli_option_at(c, i, &option); i++) {
        buf_printf(out, " '--%s[", option.name);
        add_quoted(out, option.help);
        buf_printf(out, "]%s%s%s'", option.value[0] ? ":" : "", option.value,
                   option.value[0] ? ":_files" : "");
    }
    buf_add_cstr(out, " '*:file:_files' ;;\n");
}

void cli_add_zsh(struct buf *out)
{
    buf_add_cstr(out, "#compdef rectify\n_rectify() {\n    local -a commands=(\n");
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        if (is_repeated(c))
            continue;
        buf_printf(out, "        '%.*s:", STR_FMT(first_word(c)));
        add_quoted(out, c->summary);
        buf_add_cstr(out, "'\n");
    }
    buf_add_cstr(out, "    )\n    if (( CURRENT == 2 )); then\n"
                      "        _describe command commands\n        return\n    fi\n"
                      "    case \"$words[2] $words[3]\" in\n");
    for (int two = 1; two >= 0; two--)
        for (const struct cli_command *c = cli_commands; c->name; c++) {
            if ((second_word(c).len > 0) != two)
                continue;
            buf_printf(out, "    '%s'%s) ", c->name, two ? "*" : "' '*");
            add_zsh_options(out, c);
        }
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        if (!second_word(c).len || is_repeated(c))
            continue;
        buf_printf(out, "    '%.*s '*) compadd", STR_FMT(first_word(c)));
        for (const struct cli_command *other = cli_commands; other->name; other++)
            if (str_eq(first_word(other), first_word(c)))
                buf_printf(out, " %.*s", STR_FMT(second_word(other)));
        buf_add_cstr(out, " ;;\n");
    }
    buf_add_cstr(out, "    esac\n}\n"
                      "if [[ $funcstack[1] == _rectify ]]; then _rectify; else compdef _rectify "
                      "rectify; fi\n");
}

/* ---- fish ---- */

static void add_fish_text(struct buf *out, const char *text)
{
    buf_add_byte(out, '\'');
    for (const char *p = text; *p; p++) {
        if (*p == '\'' || *p == '\\')
            buf_add_byte(out, '\\');
        buf_add_byte(out, *p);
    }
    buf_add_byte(out, '\'');
}

void cli_add_fish(struct buf *out)
{
    buf_add_cstr(out, "# rectify completion fish | source\n");
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        struct str first = first_word(c), second = second_word(c);
        struct cli_option_text option;
        if (!is_repeated(c)) {
            buf_printf(out, "complete -c rectify -n __fish_use_subcommand -a %.*s -d ",
                       STR_FMT(first));
            add_fish_text(out, c->summary);
            buf_add_byte(out, '\n');
        }
        if (second.len)
            buf_printf(out, "complete -c rectify -n '__fish_seen_subcommand_from %.*s' -a %.*s\n",
                       STR_FMT(first), STR_FMT(second));
        for (size_t i = 0; cli_option_at(c, i, &option); i++) {
            buf_printf(out, "complete -c rectify -n '__fish_seen_subcommand_from %.*s%s%.*s' -l %s",
                       STR_FMT(first), second.len ? "; and __fish_seen_subcommand_from " : "",
                       STR_FMT(second), option.name);
            buf_printf(out, "%s -d ", option.value[0] ? " -r" : "");
            add_fish_text(out, option.help);
            buf_add_byte(out, '\n');
        }
    }
}

/* ---- the manual page ---- */

/* Text for roff: dashes that can be copied, no line that begins with a request. */
static void add_roff(struct buf *out, const char *text)
{
    if (text[0] == '.' || text[0] == '\'')
        buf_add_cstr(out, "\\&");
    for (const char *p = text; *p; p++) {
        if (*p == '-')
            buf_add_cstr(out, "\\-");
        else if (*p == '\\')
            buf_add_cstr(out, "\\e");
        else
            buf_add_byte(out, *p);
    }
}

static void add_man_command(struct buf *out, const struct cli_command *c)
{
    struct cli_option_text option;
    buf_add_cstr(out, ".SS rectify ");
    add_roff(out, c->name);
    buf_printf(out, "%s%s\n", c->args[0] ? " " : "", c->args);
    add_roff(out, c->summary);
    buf_add_byte(out, '\n');
    for (size_t i = 0; cli_option_at(c, i, &option); i++) {
        buf_add_cstr(out, ".TP\n\\fB\\-\\-");
        add_roff(out, option.name);
        buf_printf(out, "\\fR %s\n", option.value);
        add_roff(out, option.help);
        buf_add_byte(out, '\n');
    }
    buf_add_cstr(out, ".PP\nExample:\n.PP\n.RS 4\n");
    add_roff(out, c->example);
    buf_add_cstr(out, "\n.RE\n");
}

int cli_man(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct buf out = {.arena = &arena};
    (void)options;
    buf_add_cstr(&out, ".TH RECTIFY 1\n.SH NAME\nrectify \\- self\\-healing cloud infrastructure\n"
                       ".SH SYNOPSIS\n\\fBrectify\\fR COMMAND [\\fIOPTIONS\\fR]\n"
                       ".SH DESCRIPTION\nHears what changed in a cloud account, decides by policy "
                       "whether that broke a rule, repairs it through the cloud's own API, checks "
                       "that the repair held, and keeps a record that nobody can quietly change.\n"
                       ".SH COMMANDS\n");
    for (const struct cli_command *c = cli_commands; c->name; c++)
        add_man_command(&out, c);
    buf_add_cstr(&out, ".SH EXIT STATUS\n");
    for (const struct cli_exit *e = cli_exits; e->meaning; e++)
        buf_printf(&out, ".TP\n%d\n%s\n", e->code, e->meaning);
    cli_print(&out);
    return CLI_OK;
}

/* ---- schemas ---- */

int cli_schema(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    const char *what = options->arg_count ? options->args[0] : "policy";
    bool config = strcmp(what, "config") == 0;
    if (!config && strcmp(what, "policy") != 0)
        return cli_usage("there are schemas of a policy and of the config, not of `%s`", what);
    cli_print_json(&arena, policy_schema(config, &arena));
    return CLI_OK;
}
