// SPDX-License-Identifier: Apache-2.0
/* Inside of the model loader: files, assembling, interning. */
#ifndef RECTIFY_AWS_MODEL_INTERNAL_H
#define RECTIFY_AWS_MODEL_INTERNAL_H

#include "aws/aws_internal.h"

#include <pthread.h>

#define MODEL_PACK_FORMAT 4              // of packs; another one is refused
#define MODEL_FILE_BYTES_MAX (64u << 20) // one model file, unpacked
#define MODEL_NAME_BYTES_MAX 200u        // a service's or operation's name

struct aws_models {
    struct arena arena; // guarded by `lock`, as is all below but `dir` and `is_pack`
    char *dir;
    bool is_pack;
    pthread_mutex_t lock;
    struct map services; // name -> struct aws_service
    struct str *names;   // every service's name, sorted; NULL = not listed yet
    size_t name_count;
    struct value index;      // the pack's index; null = not read yet
    struct value partitions; // null = not read yet
    struct str source;
};

/* Reads DIR/NAME, or NAME.gz, or NAME.zst, whichever there is, unpacked into the arena. A file that
 * does not exist gives ptr NULL when `optional`, else A0101. */
bool model_read_file(struct arena *arena, const char *dir, const char *name, bool optional,
                     struct str *ret, struct error *err) __attribute__((warn_unused_result));
/* The same, parsed; null when it does not exist and is `optional`. */
bool model_read_json(struct arena *arena, const char *dir, const char *name, bool optional,
                     struct value *ret, struct error *err) __attribute__((warn_unused_result));

/* Entries of a folder that are folders themselves, sorted. */
bool model_list_folders(struct arena *arena, const char *dir, struct str **ret, size_t *ret_count,
                        struct error *err) __attribute__((warn_unused_result));
/* Has the folder DIR/NAME a model in it (any API version)? */
bool model_has_service(const char *data_dir, const char *name);

/* A service of a botocore data folder as one document: {service, version, metadata, operations,
 * shapes, clientContextParams, pagination, waiters, rules, signingRegions}, extras merged.
 * `endpoints` is endpoints.json, or null. */
bool model_assemble(struct arena *arena, const char *data_dir, const char *service,
                    struct value endpoints, struct value *ret, struct error *err)
    __attribute__((warn_unused_result));
/* What endpoints.json says of the regions for which a service's requests are signed. */
struct value model_signing_regions(struct arena *arena, struct value endpoints, struct str prefix);
/* "botocore 1.43.11" from the package around the data folder; empty when it cannot be told. */
struct str model_source(struct arena *arena, const char *data_dir);

/* Is this the head of a file of our format? A0111 says what to do when not. */
bool model_check_format(struct value head, const char *dir, struct error *err)
    __attribute__((warn_unused_result));

/* Fills a service from its document. */
bool model_fill_service(struct aws_service *service, struct value document, struct error *err)
    __attribute__((warn_unused_result));
/* The same from a pack's text, whose endpoint rules, operations and shapes stay text until they
 * are needed:
 *
 *   {"format":4,"service":...,         everything else, in one line
 *   "rules":{...},                     or null
 *   "operations":{
 *   "CreateBucket":{...},              one a line
 *   },
 *   "shapes":{
 *   "BucketName":{...}
 *   }}
 *
 * which is JSON as well. The text must live as long as the service. */
bool model_fill_packed(struct aws_service *service, struct str text, struct error *err)
    __attribute__((warn_unused_result));
/* A definition's JSON; null (and A0104) when there is none or it is damaged. */
struct value model_define(struct aws_service *service, struct aws_definitions *definitions,
                          struct str name, struct error *err);
/* Once, under the models' lock. */
bool model_parse_endpoint_rules(struct aws_service *service, struct error *err)
    __attribute__((warn_unused_result));
/* The operation with all shapes it needs, under the models' lock. */
const struct aws_operation *model_intern_operation(struct aws_service *service, struct str name,
                                                   struct error *err)
    __attribute__((warn_unused_result));
/* The shape, as a shell that model_resolve_shapes() fills. NULL: no such shape, or no memory. */
struct aws_shape *model_intern_shape(struct aws_service *service, struct str name,
                                     struct error *err) __attribute__((warn_unused_result));
bool model_resolve_shapes(struct aws_service *service, struct error *err)
    __attribute__((warn_unused_result));
/* A use of a shape, `use` being {"shape": name, traits...}. */
bool model_intern_ref(struct aws_service *service, struct str name, struct value use,
                      struct aws_ref *ret, struct error *err) __attribute__((warn_unused_result));

#endif
