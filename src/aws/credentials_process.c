// SPDX-License-Identifier: Apache-2.0
/* Credentials from a program (credential_process): split into words, started without a shell, its
 * output read with a bound and a deadline. */
#include "aws/credentials_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "value/json.h"

#define PROCESS_WORDS_MAX 128
#define PROCESS_BYTES_MAX 65536u
#define PROCESS_TIMEOUT_MS 60000

extern char **environ;

/* Words as a shell would split them: quotes and backslashes, nothing else. */
static char **split(struct arena *arena, struct str command)
{
    char **words = ARENA_ARRAY(arena, char *, PROCESS_WORDS_MAX + 1);
    size_t count = 0;
    struct buf word = {.arena = arena};
    bool open = false;
    char quote = '\0';
    for (size_t i = 0; words && i <= command.len; i++) {
        char c = i < command.len ? command.ptr[i] : ' ';
        bool last = i == command.len;
        if (!quote && (last || c == ' ' || c == '\t' || c == '\n')) {
            if (!open)
                continue;
            struct str done = str_copy(arena, buf_str(&word));
            if (!done.ptr || count == PROCESS_WORDS_MAX)
                return NULL;
            words[count++] = (char *)(uintptr_t)done.ptr;
            word.len = 0;
            open = false;
        } else if (last) {
            return NULL; // an open quote
        } else if (c == quote) {
            quote = '\0';
        } else if (!quote && (c == '"' || c == '\'')) {
            quote = c;
            open = true;
        } else {
            if (c == '\\' && quote != '\'' && i + 1 < command.len)
                c = command.ptr[++i];
            buf_add_byte(&word, c);
            open = true;
        }
    }
    return count ? words : NULL;
}

static bool start(char **words, int *ret_fd, pid_t *ret_pid)
{
    int ends[2];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawnp(ret_pid, words[0], &actions, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (failed) {
        close(ends[0]);
        errno = failed;
        return false;
    }
    *ret_fd = ends[0];
    return true;
}

/* Reads to the end. False: too long, too late, or broken. */
static bool collect(const struct clock *clock, int fd, struct buf *out)
{
    int64_t deadline_ms = clock_steady_ms(clock) + PROCESS_TIMEOUT_MS;
    char part[4096];
    for (;;) {
        int64_t left_ms = deadline_ms - clock_steady_ms(clock);
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int count = left_ms > 0 ? poll(&ready, 1, (int)left_ms) : 0;
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        ssize_t got = read(fd, part, sizeof(part));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        buf_add(out, part, (size_t)got);
        hash_wipe(part, (size_t)got);
        if (out->len > PROCESS_BYTES_MAX || out->failed)
            return false;
    }
}

static bool is_version_1(struct arena *arena, struct str text)
{
    struct value document;
    struct error ignored;
    if (!json_parse(arena, text, &document, &ignored))
        return true; // told better by whoever reads it
    const struct value *version = value_get(document, STR("Version"));
    return version && version->kind == VALUE_INT && version->i == 1;
}

enum provided provide_process(struct provider_call *p, struct str command)
{
    char **words = split(p->arena, command);
    int fd, status = 0;
    pid_t pid;
    if (!words) {
        error_set(p->err, "A0303", "credential_process cannot be split into words");
        return BROKEN;
    }
    if (!start(words, &fd, &pid)) {
        error_set(p->err, "A0303", "credential_process %s cannot be started: %s", words[0],
                  strerror(errno));
        return BROKEN;
    }
    struct buf out = {.arena = p->arena};
    bool ok = collect(p->client->world.clock, fd, &out);
    close(fd);
    if (!ok)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    struct str text = buf_str(&out);
    if (!ok || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        error_set(p->err, "A0303", "credential_process %s %s", words[0],
                  ok ? "failed" : "took too long or wrote too much");
        return BROKEN;
    }
    if (!is_version_1(p->arena, text)) {
        error_set(p->err, "A0303", "credential_process %s did not answer in version 1", words[0]);
        return BROKEN;
    }
    return provider_take_json(p, text, "credential_process");
}
