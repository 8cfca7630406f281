// SPDX-License-Identifier: Apache-2.0
/* What simdjson's DOM parser takes for the same bytes: the floor that the matcher is held against.
 */
#include <simdjson.h>

#include "pattern_simdjson.h"

extern "C" size_t simdjson_parse_all(const char *const *texts, const size_t *lengths, size_t count)
{
    static simdjson::dom::parser parser;
    size_t objects = 0;
    for (size_t i = 0; i < count; i++) {
        simdjson::dom::element element;
        /* false: the texts are padded already, nothing is copied. */
        if (!parser.parse(texts[i], lengths[i], false).get(element))
            objects += element.is_object();
    }
    return objects;
}

extern "C" const char *simdjson_implementation(void)
{
    static std::string name = simdjson::get_active_implementation()->name();
    return name.c_str();
}

extern "C" bool simdjson_choose(const char *name)
{
    auto *implementation = simdjson::get_available_implementations()[name];
    if (!implementation || !implementation->supported_by_runtime_system())
        return false;
    simdjson::get_active_implementation() = implementation;
    return true;
}
