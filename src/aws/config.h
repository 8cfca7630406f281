// SPDX-License-Identifier: Apache-2.0
/* The environment and the files that every AWS tool reads: ~/.aws/config and ~/.aws/credentials.
 *
 * Source: "Configuration and credential file settings" (AWS SDKs and Tools Reference Guide).
 * Immutable once loaded. Errors: A0340 a file is malformed (placed by line), A0341 the profile does
 * not exist, A0342 a file cannot be read. */
#ifndef RECTIFY_AWS_CONFIG_H
#define RECTIFY_AWS_CONFIG_H

#include "aws/aws.h"

/* Everything outside of the process that configuration and credentials ask: replaceable for tests.
 */
struct aws_world {
    const char *(*env)(void *ctx, const char *name); // NULL or "" = not set
    void *env_ctx;
    /* Whole content of a file; false when it is not there or cannot be read. */
    bool (*read_file)(void *ctx, const char *path, struct arena *arena, struct str *ret);
    void *file_ctx;
    void (*http)(void *ctx, const struct net_request *request, struct arena *arena,
                 struct net_answer *ret);
    void *http_ctx;
    const struct clock *clock;
};
/* getenv, the file system, `net`. */
struct aws_world aws_world_system(struct net *net, const struct clock *clock);
/* The variable's value without white space around it; empty = not set. */
struct str aws_world_env(const struct aws_world *world, const char *name);

struct aws_config {
    struct value profiles, sso_sessions, services; // name -> map of lower-case key -> string
    struct str profile;                            // the selected one
    bool profile_chosen;                           // by AWS_PROFILE, so it must exist
};

bool aws_config_load(const struct aws_world *world, struct arena *arena, struct aws_config *ret,
                     struct error *err) __attribute__((warn_unused_result));
/* Of texts instead of files; `config_name` and `credentials_name` are for errors. */
bool aws_config_parse(struct str config, const char *config_name, struct str credentials,
                      const char *credentials_name, struct arena *arena, struct aws_config *ret,
                      struct error *err) __attribute__((warn_unused_result));
/* Paths of the two files: AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE, else below HOME. */
const char *aws_config_path(const struct aws_world *world, struct arena *arena);
const char *aws_credentials_path(const struct aws_world *world, struct arena *arena);

/* A key of the selected profile, or of any section of `sections`; empty when missing. */
struct str aws_config_get(const struct aws_config *config, const char *key);
struct str aws_section_get(struct value sections, struct str name, const char *key);
/* A line "key = value" of a nested setting. */
struct str aws_config_nested(struct str setting, const char *key);

#endif
