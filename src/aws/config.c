// SPDX-License-Identifier: Apache-2.0
/* Reading the configuration and credentials files.
 *
 *   [profile NAME] / [default] / [sso-session NAME] / [services NAME]     sections
 *   key = value                                                           properties
 *     more                       indented: continues the value above, or a nested setting
 *
 * Sections of one name merge; the credentials file is laid over the configuration file; "[profile
 * default]" beats "[default]". */
#include "aws/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1u << 20)

enum section_kind { SECTION_PROFILE, SECTION_SSO, SECTION_SERVICES, SECTION_IGNORED };

struct section {
    enum section_kind kind;
    struct str name;
    bool prefixed; // "[profile default]"
    struct value_builder keys;
    struct section *next;
};

struct reader {
    struct arena *arena;
    bool credentials;
    struct section *sections, *current;
    struct str key; // of the property that continuations belong to; ptr NULL = none
    bool nested, ignored;
    const char *trouble;
};

/* ---- sections ---- */

static bool is_name_byte(char c)
{
    char lower = (char)(c | 0x20);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-_/.%@:+", c));
}

static bool is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!is_name_byte(name.ptr[i]))
            return false;
    }
    return name.len > 0;
}

static struct section *section_of(struct reader *reader, enum section_kind kind, struct str name,
                                  bool prefixed)
{
    struct section **at = &reader->sections;
    for (; *at; at = &(*at)->next) {
        if ((*at)->kind == kind && (*at)->prefixed == prefixed && str_eq((*at)->name, name))
            return *at;
    }
    *at = ARENA_NEW(reader->arena, struct section);
    if (*at)
        **at = (struct section){kind, name, prefixed, {.arena = reader->arena}, NULL};
    return *at;
}

static struct str unquote(struct str s)
{
    bool quoted =
        s.len >= 2 && (s.ptr[0] == '"' || s.ptr[0] == '\'') && s.ptr[s.len - 1] == s.ptr[0];
    return quoted ? str_sub(s, 1, s.len - 2) : s;
}

static bool cut_word(struct str *text, struct str word)
{
    if (!str_starts(*text, word) || text->len == word.len ||
        (text->ptr[word.len] != ' ' && text->ptr[word.len] != '\t'))
        return false;
    *text = str_trim(str_sub(*text, word.len, SIZE_MAX));
    return true;
}

static bool begin_section(struct reader *reader, struct str line)
{
    size_t end = str_find_byte(line, ']');
    if (end == SIZE_MAX) {
        reader->trouble = "A section name must end with ']'";
        return false;
    }
    struct str name = str_trim(str_sub(line, 1, end - 1));
    enum section_kind kind = SECTION_IGNORED;
    bool prefixed = false;
    if (reader->credentials)
        kind = SECTION_PROFILE;
    else if (cut_word(&name, STR("profile")))
        kind = SECTION_PROFILE, prefixed = true;
    else if (cut_word(&name, STR("sso-session")))
        kind = SECTION_SSO;
    else if (cut_word(&name, STR("services")))
        kind = SECTION_SERVICES;
    else if (str_is(name, "default"))
        kind = SECTION_PROFILE;
    bool quoted = unquote(name).len != name.len;
    name = unquote(name);
    if (!quoted && !is_name(name))
        kind = SECTION_IGNORED;
    reader->current = section_of(reader, kind, name, prefixed && str_is(name, "default"));
    reader->key = (struct str){0};
    reader->ignored = false;
    return reader->current != NULL;
}

/* ---- properties ---- */

static struct str strip_comment(struct str line)
{
    for (size_t i = 1; i < line.len; i++) {
        bool space = line.ptr[i - 1] == ' ' || line.ptr[i - 1] == '\t';
        if (space && (line.ptr[i] == '#' || line.ptr[i] == ';'))
            return str_sub(line, 0, i);
    }
    return line;
}

static struct str lower(struct arena *arena, struct str s)
{
    char *copy = arena_copy(arena, s.ptr, s.len);
    for (size_t i = 0; copy && i < s.len; i++) {
        if (copy[i] >= 'A' && copy[i] <= 'Z')
            copy[i] = (char)(copy[i] | 0x20);
    }
    return (struct str){copy, s.len};
}

static bool add_property(struct reader *reader, struct str line)
{
    if (!reader->current) {
        reader->trouble = "Expected a profile definition";
        return false;
    }
    line = strip_comment(line);
    if (str_find_byte(line, '=') == SIZE_MAX) {
        reader->trouble = "Expected an '=' sign defining a property";
        return false;
    }
    struct str key = str_trim(str_cut(&line, '='));
    if (!key.len) {
        reader->trouble = "Property did not have a name";
        return false;
    }
    struct str value = str_trim(line);
    reader->ignored = !is_name(key);
    reader->key = lower(reader->arena, key);
    reader->nested = value.len == 0;
    if (!reader->ignored)
        value_set_str(&reader->current->keys, reader->key,
                      value_string(value.ptr ? value : STR("")));
    return reader->key.ptr != NULL;
}

static bool check_nested(struct reader *reader, struct str text)
{
    size_t equals = str_find_byte(text, '=');
    if (equals == SIZE_MAX) {
        reader->trouble = "Expected an '=' sign defining a sub-property";
        return false;
    }
    if (str_trim(str_sub(text, 0, equals)).len == 0) {
        reader->trouble = "Sub-property did not have a name";
        return false;
    }
    return true;
}

static bool continue_property(struct reader *reader, struct str text)
{
    if (!reader->current) {
        reader->trouble = "Expected a profile definition";
        return false;
    }
    if (!reader->key.ptr) {
        reader->trouble = "Expected a property definition, found continuation";
        return false;
    }
    if (reader->nested && !check_nested(reader, text))
        return false;
    if (reader->ignored)
        return true;
    struct value_builder *keys = &reader->current->keys;
    for (size_t i = 0; i < keys->count; i++) {
        if (!str_eq(value_str(keys->pairs[i].key), reader->key))
            continue;
        struct str old = value_str(keys->pairs[i].value);
        const char *joined = arena_printf(reader->arena, "%.*s\n%.*s", STR_FMT(old), STR_FMT(text));
        keys->pairs[i].value = value_string(str_from(joined));
        return joined != NULL;
    }
    return true;
}

static bool read_line(struct reader *reader, struct str line)
{
    struct str text = str_trim(line);
    if (!text.len || line.ptr[0] == '#' || line.ptr[0] == ';')
        return true;
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return text.ptr[0] == '[' && !reader->key.ptr ? begin_section(reader, text)
                                                      : continue_property(reader, text);
    return line.ptr[0] == '[' ? begin_section(reader, text) : add_property(reader, text);
}

static bool read_text(struct reader *reader, struct str text, const char *name, struct error *err)
{
    struct str rest = text;
    reader->current = NULL;
    reader->key = (struct str){0};
    while (rest.len) {
        size_t offset = (size_t)(rest.ptr - text.ptr);
        struct str line = str_cut(&rest, '\n');
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (read_line(reader, line))
            continue;
        error_set(err, "A0340", "%s", reader->trouble ? reader->trouble : "out of memory");
        /* A secret may stand in the line: only the place is told. */
        if (err) {
            error_place(err, name, text, offset, 1);
            err->source_line[0] = '\0';
        }
        return false;
    }
    return true;
}

/* ---- the result ---- */

static struct value sections_of(struct reader *reader, enum section_kind kind)
{
    struct value_builder map = {.arena = reader->arena};
    bool prefixed_default = false;
    for (struct section *s = reader->sections; s; s = s->next)
        prefixed_default |= s->prefixed;
    for (struct section *s = reader->sections; s; s = s->next) {
        bool beaten = prefixed_default && !s->prefixed && !reader->credentials &&
                      s->kind == SECTION_PROFILE && str_is(s->name, "default");
        if (s->kind == kind && !beaten)
            value_set_str(&map, s->name, value_finish_map(&s->keys));
    }
    return value_finish_map(&map);
}

static struct value laid_over(struct arena *arena, struct value below, struct value above)
{
    struct value_builder map = {.arena = arena};
    for (uint32_t i = 0; i < below.len; i++)
        value_set_str(&map, value_str(below.pairs[i].key), below.pairs[i].value);
    for (uint32_t i = 0; i < above.len; i++) {
        struct str name = value_str(above.pairs[i].key);
        const struct value *old = value_get(below, name);
        struct value_builder keys = {.arena = arena};
        for (uint32_t k = 0; old && k < old->len; k++)
            value_set_str(&keys, value_str(old->pairs[k].key), old->pairs[k].value);
        struct value added = above.pairs[i].value;
        for (uint32_t k = 0; k < added.len; k++)
            value_set_str(&keys, value_str(added.pairs[k].key), added.pairs[k].value);
        value_set_str(&map, name, value_finish_map(&keys));
    }
    return value_finish_map(&map);
}

bool aws_config_parse(struct str config, const char *config_name, struct str credentials,
                      const char *credentials_name, struct arena *arena, struct aws_config *ret,
                      struct error *err)
{
    struct reader first = {.arena = arena}, second = {.arena = arena, .credentials = true};
    if (!read_text(&first, config, config_name, err) ||
        !read_text(&second, credentials, credentials_name, err))
        return false;
    *ret = (struct aws_config){
        .profiles = laid_over(arena, sections_of(&first, SECTION_PROFILE),
                              sections_of(&second, SECTION_PROFILE)),
        .sso_sessions = sections_of(&first, SECTION_SSO),
        .services = sections_of(&first, SECTION_SERVICES),
        .profile = STR("default"),
    };
    return true;
}

/* ---- files ---- */

static const char *below_home(const struct aws_world *world, struct arena *arena, const char *rest)
{
    return arena_printf(arena, "%.*s%s", STR_FMT(aws_world_env(world, "HOME")), rest);
}

static const char *path_of(const struct aws_world *world, struct arena *arena, const char *variable,
                           const char *fallback)
{
    struct str set = aws_world_env(world, variable);
    if (!set.len)
        return below_home(world, arena, fallback);
    if (str_starts(set, STR("~/")))
        return below_home(world, arena, set.ptr + 1);
    return str_copy(arena, set).ptr;
}

const char *aws_config_path(const struct aws_world *world, struct arena *arena)
{
    return path_of(world, arena, "AWS_CONFIG_FILE", "/.aws/config");
}

const char *aws_credentials_path(const struct aws_world *world, struct arena *arena)
{
    return path_of(world, arena, "AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials");
}

bool aws_config_load(const struct aws_world *world, struct arena *arena, struct aws_config *ret,
                     struct error *err)
{
    const char *config_path = aws_config_path(world, arena);
    const char *credentials_path = aws_credentials_path(world, arena);
    struct str config = {0}, credentials = {0};
    if (!config_path || !credentials_path)
        return error_set(err, "A0342", "out of memory");
    (void)world->read_file(world->file_ctx, config_path, arena, &config);
    (void)world->read_file(world->file_ctx, credentials_path, arena, &credentials);
    struct aws_config made;
    if (!aws_config_parse(config, config_path, credentials, credentials_path, arena, &made, err))
        return false;
    struct str profile = aws_world_env(world, "AWS_PROFILE");
    if (!profile.len)
        profile = aws_world_env(world, "AWS_DEFAULT_PROFILE");
    if (profile.len) {
        made.profile = str_copy(arena, profile);
        made.profile_chosen = true;
    }
    *ret = made;
    return true;
}

struct str aws_section_get(struct value sections, struct str name, const char *key)
{
    const struct value *section = value_get(sections, name);
    const struct value *found = section ? value_get(*section, str_from(key)) : NULL;
    return found ? value_str(*found) : (struct str){0};
}

struct str aws_config_get(const struct aws_config *config, const char *key)
{
    return aws_section_get(config->profiles, config->profile, key);
}

struct str aws_config_nested(struct str setting, const char *key)
{
    while (setting.len) {
        struct str value = str_cut(&setting, '\n');
        struct str name = str_trim(str_cut(&value, '='));
        if (str_eq_nocase(name, str_from(key)))
            return str_trim(value);
    }
    return (struct str){0};
}

/* ---- the world ---- */

static const char *system_env(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

static bool read_all(int fd, struct arena *arena, struct str *ret)
{
    struct buf out = {.arena = arena};
    char part[4096];
    ssize_t got;
    while ((got = read(fd, part, sizeof(part))) > 0 && out.len <= FILE_BYTES_MAX)
        buf_add(&out, part, (size_t)got);
    if (got < 0 || out.failed || out.len > FILE_BYTES_MAX)
        return false;
    *ret = buf_str(&out);
    return true;
}

static bool system_read_file(void *ctx, const char *path, struct arena *arena, struct str *ret)
{
    (void)ctx;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat info;
    if (fd < 0)
        return false;
    bool ok = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && read_all(fd, arena, ret);
    close(fd);
    return ok;
}

static void system_http(void *ctx, const struct net_request *request, struct arena *arena,
                        struct net_answer *ret)
{
    net_request(ctx, request, arena, ret);
}

struct aws_world aws_world_system(struct net *net, const struct clock *clock)
{
    return (struct aws_world){.env = system_env,
                              .read_file = system_read_file,
                              .http = system_http,
                              .http_ctx = net,
                              .clock = clock};
}

struct str aws_world_env(const struct aws_world *world, const char *name)
{
    return str_trim(str_from(world->env(world->env_ctx, name)));
}
