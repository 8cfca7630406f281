// SPDX-License-Identifier: Apache-2.0
/* See act.h. The kill switch is looked up through its folder, so that a vanished folder is not
 * taken for a switch that is off. */
#include "act/act.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool switch_is_off(const char *path, char *reason, size_t size)
{
    struct stat info;
    char folder[4096];
    const char *slash = strrchr(path, '/');
    if (path[0] == '\0') {
        snprintf(reason, size, "the kill switch cannot be read: its path is empty");
        return false;
    }
    if (lstat(path, &info) == 0) {
        snprintf(reason, size, "the kill switch is on (%s exists)", path);
        return false;
    }
    if (errno != ENOENT) {
        snprintf(reason, size, "the kill switch cannot be read (%s: %s)", path, strerror(errno));
        return false;
    }
    int len = snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1,
                       slash ? path : ".");
    if (len < 0 || (size_t)len >= sizeof folder || stat(len ? folder : "/", &info) != 0 ||
        !S_ISDIR(info.st_mode)) {
        snprintf(reason, size, "the kill switch cannot be read (%s: its folder is not there)",
                 path);
        return false;
    }
    return true;
}

bool act_gate_open(const struct act_gate *gate, char *reason, size_t size)
{
    if (gate->kill_switch && !switch_is_off(gate->kill_switch, reason, size))
        return false;
    if (clock_steady_ms(gate->clock) > gate->deadline_ms) {
        snprintf(reason, size, "too late: the step's deadline is over");
        return false;
    }
    if (gate->owns && !gate->owns(gate->owns_ctx)) {
        snprintf(reason, size, "another worker has taken over, or the store cannot be asked");
        return false;
    }
    return !gate->allows || gate->allows(gate->owns_ctx, reason, size);
}

static bool ask_gate(void *ctx, char *reason, size_t size)
{
    fault_point("send", "");
    bool open = act_gate_open(ctx, reason, size);
    fault_point("gate", "");
    return open;
}

void act_call(const struct act_request *request, struct arena *arena, struct aws_answer *ret)
{
    struct error err;
    const struct value *input = value_get(request->planned, STR("with"));
    struct aws_call call = {
        .operation =
            aws_operation_find(request->models, value_path_str(request->planned, "call"), &err),
        .input = input ? *input : value_null(),
        .region = value_path_str(request->planned, "region"),
        .access = request->access,
        .account = request->account,
        .deadline_ms = request->gate->deadline_ms,
        .attempt = request->attempt,
        .gate = ask_gate,
        .gate_ctx = (void *)(uintptr_t)request->gate,
    };
    if (!call.operation) {
        *ret = (struct aws_answer){.outcome = AWS_NOT_SENT,
                                   .code = str_from(err.code),
                                   .message = str_copy(arena, str_from(err.message))};
        return;
    }
    request->caller.call(request->caller.ctx, &call, arena, ret);
    fault_point("sent", "");
}
