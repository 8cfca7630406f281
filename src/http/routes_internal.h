// SPDX-License-Identifier: Apache-2.0
/* What the routes' files share. */
#ifndef RECTIFY_HTTP_ROUTES_INTERNAL_H
#define RECTIFY_HTTP_ROUTES_INTERNAL_H

#include "http/http.h"

#define ROUTE(name)                                                                                \
    bool name(const struct http_api *api, const struct http_request *request, int64_t id,          \
              struct arena *arena, int *ret_status, struct value *ret, struct error *err)

ROUTE(http_get_routes);
ROUTE(http_get_livez);
ROUTE(http_get_readyz);
ROUTE(http_get_sources);
ROUTE(http_get_remediations);
ROUTE(http_get_remediation);
ROUTE(http_get_remediation_records);
ROUTE(http_get_notices);
ROUTE(http_get_approvals);
ROUTE(http_post_channel);
ROUTE(http_get_audit_records);
ROUTE(http_get_audit_verify);
ROUTE(http_post_events);
ROUTE(http_post_approve);
ROUTE(http_post_deny);
ROUTE(http_post_rollback);
ROUTE(http_post_plan);
ROUTE(http_post_apply);
ROUTE(http_get_policies);
ROUTE(http_post_policy_pause);
ROUTE(http_post_policy_resume);
ROUTE(http_post_policy_promote);
ROUTE(http_post_clear);
ROUTE(http_post_freeze);
ROUTE(http_post_unfreeze);
ROUTE(http_get_freezes);

/* A parameter's value, empty when it is not there. */
struct str http_param(const struct http_request *request, const char *name);
/* What stands for NAME in the path. */
struct str http_path_name(const struct http_request *request);
/* Sets *ret_status and the error. Returns false. */
bool http_refuse(int *ret_status, int status, struct error *err, const char *code,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
/* A number of 0..max in a parameter; `unset` when it is not there. */
bool http_number_param(const struct http_request *request, const char *name, int64_t unset,
                       int64_t max, int64_t *ret, int *ret_status, struct error *err);
struct value http_time_text(struct arena *arena, int64_t ms);
/* The status for a verb that did not answer STORE_OK; err is set where the store did not. */
bool http_store_failed(enum store_result got, int64_t id, int *ret_status, struct error *err);

#endif
