// SPDX-License-Identifier: Apache-2.0
/* Where a command gets its JSON: from the store, when nobody owns it, else from the daemon that
 * does, over the Unix socket in the state folder. Both answer by the same table of routes
 * (http/http.h), so a command asks and renders and does not know which it was. One thread. */
#ifndef RECTIFY_CLI_DESK_H
#define RECTIFY_CLI_DESK_H

#include "cli/cli.h"
#include "http/http.h"

struct desk {
    struct store *store; // ours; NULL = the daemon owns it
    struct engine engine;
    struct http_api api;
    struct net *net;
    struct aws_models *models; // with the rules, of whoever decides
    struct engine_rules *rules;
    char socket[4096];
};

/* What is asked. Parameters with an empty value are left out. */
struct desk_question {
    const char *method, *path;
    const struct http_param *params;
    size_t param_count;
    struct str body;
};

/* S0001 with a hint when the owner is no daemon. */
bool desk_open(struct desk *desk, const struct cli_options *options, struct error *err)
    __attribute__((warn_unused_result));
/* The same for what people decide: in this process it needs rectify.yaml and the policies, which
 * say who may. */
bool desk_open_to_decide(struct desk *desk, const struct cli_options *options, struct error *err)
    __attribute__((warn_unused_result));
/* Only the daemon, which has to run; the store is left alone. */
bool desk_open_daemon(struct desk *desk, const struct cli_options *options, struct error *err)
    __attribute__((warn_unused_result));
void desk_close(struct desk *desk);
/* False: the answer was an error, which is `err` (its code lives in `arena`). */
bool desk_ask(struct desk *desk, const struct desk_question *question, struct arena *arena,
              struct value *ret, struct error *err) __attribute__((warn_unused_result));
/* GET without parameters; printf for the path. */
bool desk_get(struct desk *desk, struct arena *arena, struct value *ret, struct error *err,
              const char *path, ...) __attribute__((warn_unused_result, format(printf, 5, 6)));
/* <state>/rectify.sock */
bool desk_socket_path(const struct cli_options *options, char *ret, size_t size, struct error *err)
    __attribute__((warn_unused_result));

#endif
