// SPDX-License-Identifier: Apache-2.0
/* The providers that the chain asks, one after the other. */
#ifndef RECTIFY_AWS_CREDENTIALS_INTERNAL_H
#define RECTIFY_AWS_CREDENTIALS_INTERNAL_H

#include "aws/client_internal.h"

enum provided {
    PROVIDED,     // `ret` is set
    NOT_PROVIDED, // not configured here: ask the next
    BROKEN,       // configured and failing: the chain stops, `err` says why
};

struct provider_call {
    struct aws_client *client;
    struct arena *arena;
    struct aws_credentials *ret;
    struct error *err;
};

enum provided provide_environment(struct provider_call *p);
enum provided provide_container(struct provider_call *p);
enum provided provide_metadata(struct provider_call *p);
enum provided provide_process(struct provider_call *p, struct str command);
/* `profile` has sso_session, or sso_start_url and its fellows. */
enum provided provide_sso(struct provider_call *p, struct str profile);
enum provided provide_web_identity(struct provider_call *p, struct str token_file, struct str role,
                                   struct str session);

/* One request to STS or SSO; BROKEN with the service's words when it fails. */
enum provided provider_ask(struct provider_call *p, const char *operation, struct value input,
                           struct str region, const struct aws_credentials *credentials,
                           struct value *ret_output);
/* The member Credentials of an STS answer. */
enum provided provider_take_sts(struct provider_call *p, struct value output);
/* A JSON document {AccessKeyId, SecretAccessKey, Token | SessionToken, Expiration, AccountId}. */
enum provided provider_take_json(struct provider_call *p, struct str text, const char *from);
/* "rectify-1760000000": who assumed a role. */
struct str provider_session_name(struct provider_call *p, struct str wanted);

#endif
