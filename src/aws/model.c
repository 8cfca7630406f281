// SPDX-License-Identifier: Apache-2.0
/* The models as a whole: opening, finding services and operations, listing, and what a shape tells.
 *
 * Loading happens under one lock, at a service's first use. What has been handed out never changes.
 */
#include "aws/model_internal.h"

#include "value/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static bool out_of_memory(struct error *err)
{
    return error_set(err, "A0100", "out of memory while loading the service models");
}

static bool has_file(const char *dir, const char *name)
{
    char path[4096];
    struct stat info;
    return snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path &&
           stat(path, &info) == 0;
}

struct aws_models *aws_models_open(const char *dir, struct error *err)
{
    bool is_pack = has_file(dir, "index.json");
    if (!is_pack && !has_file(dir, "partitions.json") && !has_file(dir, "partitions.json.gz")) {
        error_set(err, "A0105", "%s holds no service models", dir);
        error_hint(err, "it has neither a pack's index.json nor botocore's partitions.json");
        return NULL;
    }
    struct aws_models *models = calloc(1, sizeof *models);
    char *copy = strdup(dir);
    if (!models || !copy) {
        free(models);
        free(copy);
        out_of_memory(err);
        return NULL;
    }
    models->dir = copy;
    models->is_pack = is_pack;
    models->services.arena = &models->arena;
    pthread_mutex_init(&models->lock, NULL);
    return models;
}

void aws_models_close(struct aws_models *models)
{
    if (!models)
        return;
    for (size_t i = 0; i < models->services.cap; i++) {
        struct aws_service *service = models->services.slots[i].value;
        if (service)
            arena_finish(&service->arena);
    }
    pthread_mutex_destroy(&models->lock);
    arena_finish(&models->arena);
    free(models->dir);
    free(models);
}

/* ---- services ---- */

static bool read_index(struct aws_models *models, struct error *err)
{
    if (models->index.kind != VALUE_NULL)
        return true;
    struct value index;
    if (!model_read_json(&models->arena, models->dir, "index.json", false, &index, err))
        return false;
    if (!model_check_format(index, models->dir, err))
        return false;
    if (!value_path(index, "services") || value_path(index, "services")->kind != VALUE_MAP)
        return error_set(err, "A0104", "%s/index.json is not an index of models", models->dir);
    models->index = index;
    models->source = value_path_str(index, "source");
    return true;
}

static bool list_services(struct aws_models *models, struct error *err)
{
    if (models->names)
        return true;
    struct str *names;
    size_t count = 0;
    if (!models->is_pack) {
        size_t folders;
        if (!model_list_folders(&models->arena, models->dir, &names, &folders, err))
            return false;
        for (size_t i = 0; i < folders; i++)
            if (model_has_service(models->dir, names[i].ptr))
                names[count++] = names[i];
    } else {
        if (!read_index(models, err))
            return false;
        struct value services = *value_path(models->index, "services");
        names = ARENA_ARRAY(&models->arena, struct str, services.len);
        for (; names && count < services.len; count++)
            names[count] = value_str(services.pairs[count].key);
    }
    if (!names)
        return out_of_memory(err);
    models->names = names;
    models->name_count = count;
    return true;
}

/* Adds "did you mean" when one of the names is near. */
static void suggest(struct error *err, struct str typed, const struct str *names, size_t count)
{
    unsigned best = 2 + (unsigned)typed.len / 4;
    struct str nearest = {0};
    for (size_t i = 0; i < count; i++) {
        unsigned distance =
            str_eq_nocase(typed, names[i]) ? 0 : str_distance(typed, names[i], best);
        if (distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    if (nearest.ptr)
        error_hint(err, "did you mean `%.*s`?", STR_FMT(nearest));
}

static bool is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && !((c == '-' || c == '_') && i))
            return false;
    }
    return name.len > 0 && name.len <= MODEL_NAME_BYTES_MAX;
}

static bool service_exists(const struct aws_models *models, const char *name)
{
    char file[MODEL_NAME_BYTES_MAX + 16];
    if (!models->is_pack)
        return model_has_service(models->dir, name);
    snprintf(file, sizeof file, "%s.json.zst", name);
    return has_file(models->dir, file);
}

static bool read_service(struct aws_models *models, struct aws_service *service, const char *name,
                         struct error *err)
{
    char file[MODEL_NAME_BYTES_MAX + 16];
    struct value document, endpoints;
    struct str text;
    if (!models->is_pack)
        return model_read_json(&service->arena, models->dir, "endpoints.json", true, &endpoints,
                               err) &&
               model_assemble(&service->arena, models->dir, name, endpoints, &document, err) &&
               model_fill_service(service, document, err);
    snprintf(file, sizeof file, "%s.json", name);
    return model_read_file(&service->arena, models->dir, file, false, &text, err) &&
           model_fill_packed(service, text, err);
}

static bool load_service(struct aws_models *models, struct aws_service *service, struct str name,
                         struct error *err)
{
    char text[MODEL_NAME_BYTES_MAX + 1];
    snprintf(text, sizeof text, "%.*s", STR_FMT(name));
    service->models = models;
    service->name = str_copy(&models->arena, name);
    if (!service->name.ptr)
        return out_of_memory(err);
    return read_service(models, service, text, err);
}

static struct aws_service *find_service(struct aws_models *models, struct str name,
                                        struct error *err)
{
    struct aws_service *service = map_get(&models->services, name);
    if (service)
        return service;
    char text[MODEL_NAME_BYTES_MAX + 1];
    snprintf(text, sizeof text, "%.*s", STR_FMT(name));
    if (!is_name(name) || !service_exists(models, text)) {
        error_set(err, "A0106", "there is no AWS service `%.*s`", STR_FMT(name));
        if (list_services(models, NULL))
            suggest(err, name, models->names, models->name_count);
        return NULL;
    }
    service = ARENA_NEW(&models->arena, struct aws_service);
    if (!service) {
        out_of_memory(err);
        return NULL;
    }
    if (!load_service(models, service, name, err)) {
        arena_finish(&service->arena);
        return NULL;
    }
    if (!map_set(&models->services, service->name, service)) {
        arena_finish(&service->arena);
        out_of_memory(err);
        return NULL;
    }
    return service;
}

const struct aws_service *aws_service_find(struct aws_models *models, struct str name,
                                           struct error *err)
{
    pthread_mutex_lock(&models->lock);
    const struct aws_service *service = find_service(models, name, err);
    pthread_mutex_unlock(&models->lock);
    return service;
}

/* ---- operations ---- */

static struct str *operation_names(const struct aws_service *service, struct arena *arena)
{
    const struct aws_definitions *operations = &service->operation_definitions;
    struct str *names = ARENA_ARRAY(arena, struct str, operations->count);
    for (size_t i = 0; names && i < operations->count; i++)
        names[i] = operations->list[i].name;
    return names;
}

static void unknown_operation(const struct aws_service *service, struct str name, struct error *err)
{
    ARENA_AUTO struct arena arena = {0};
    error_set(err, "A0107", "%.*s has no operation `%.*s`", STR_FMT(service->name), STR_FMT(name));
    struct str *names = operation_names(service, &arena);
    if (names)
        suggest(err, name, names, service->operation_definitions.count);
}

const struct aws_operation *aws_operation_find(struct aws_models *models, struct str name,
                                               struct error *err)
{
    struct str operation = name;
    struct str service_name = str_cut(&operation, ':');
    if (!operation.len) {
        error_set(err, "A0108", "`%.*s` is not `service:Operation`", STR_FMT(name));
        return NULL;
    }
    const struct aws_operation *op = NULL;
    pthread_mutex_lock(&models->lock);
    struct aws_service *service = find_service(models, service_name, err);
    if (service && !map_get(&service->operation_definitions.by_name, operation))
        unknown_operation(service, operation, err);
    else if (service)
        op = model_intern_operation(service, operation, err);
    pthread_mutex_unlock(&models->lock);
    return op;
}

bool aws_models_list(struct aws_models *models, struct str service, struct arena *arena,
                     struct str **ret, size_t *ret_count, struct error *err)
{
    pthread_mutex_lock(&models->lock);
    struct str *names = NULL;
    size_t count = 0;
    bool ok = false;
    if (!service.len) {
        ok = list_services(models, err);
        names = models->names;
        count = models->name_count;
    } else {
        const struct aws_service *found = find_service(models, service, err);
        if (found) {
            names = operation_names(found, arena);
            count = found->operation_definitions.count;
            ok = names || out_of_memory(err);
        }
    }
    pthread_mutex_unlock(&models->lock);
    if (!ok)
        return false;
    *ret = names;
    *ret_count = count;
    return true;
}

bool aws_models_partitions(struct aws_models *models, struct value *ret, struct error *err)
{
    pthread_mutex_lock(&models->lock);
    bool ok = models->partitions.kind != VALUE_NULL ||
              model_read_json(&models->arena, models->dir, "partitions.json", false,
                              &models->partitions, err);
    struct value partitions = models->partitions;
    pthread_mutex_unlock(&models->lock);
    if (ok)
        *ret = partitions;
    return ok;
}

bool aws_service_endpoint_rules(const struct aws_service *service, struct value *ret,
                                struct error *err)
{
    struct aws_models *models = service->models;
    bool ok = atomic_load_explicit(&service->endpoint_rules_parsed, memory_order_acquire);
    if (!ok) {
        pthread_mutex_lock(&models->lock);
        ok = model_parse_endpoint_rules(map_get(&models->services, service->name), err);
        pthread_mutex_unlock(&models->lock);
    }
    if (ok)
        *ret = service->endpoint_rules.parsed;
    return ok;
}

struct str aws_models_source(struct aws_models *models)
{
    pthread_mutex_lock(&models->lock);
    if (models->is_pack)
        (void)read_index(models, NULL);
    else if (!models->source.ptr)
        models->source = model_source(&models->arena, models->dir);
    struct str source = models->source;
    pthread_mutex_unlock(&models->lock);
    return source;
}

/* ---- what operations and shapes tell ---- */

struct str aws_operation_name(const struct aws_operation *op)
{
    return op->name;
}

struct str aws_operation_service(const struct aws_operation *op)
{
    return op->service->name;
}

const struct aws_shape *aws_operation_input(const struct aws_operation *op)
{
    return op->input ? op->input->shape : NULL;
}

const struct aws_shape *aws_operation_output(const struct aws_operation *op)
{
    return op->output ? op->output->shape : NULL;
}

struct str aws_operation_token(const struct aws_operation *op)
{
    return op->token;
}

bool aws_operation_is_paged(const struct aws_operation *op)
{
    return op->paginator != NULL;
}

enum aws_shape_kind aws_shape_kind(const struct aws_shape *shape)
{
    return shape->kind;
}

struct str aws_shape_name(const struct aws_shape *shape)
{
    return shape->name;
}

size_t aws_shape_member_count(const struct aws_shape *shape)
{
    return shape->member_count;
}

struct str aws_shape_member_name(const struct aws_shape *shape, size_t i)
{
    return shape->members[i].name;
}

const struct aws_shape *aws_shape_member(const struct aws_shape *shape, size_t i)
{
    return shape->members[i].shape;
}

bool aws_shape_member_required(const struct aws_shape *shape, size_t i)
{
    return shape->members[i].required;
}

const struct aws_shape *aws_shape_item(const struct aws_shape *shape)
{
    return shape->item ? shape->item->shape : NULL;
}

const struct aws_shape *aws_shape_key(const struct aws_shape *shape)
{
    return shape->key ? shape->key->shape : NULL;
}

bool aws_shape_is_document(const struct aws_shape *shape)
{
    return shape->document;
}
