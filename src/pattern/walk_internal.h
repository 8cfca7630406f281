// SPDX-License-Identifier: Apache-2.0
/* What match.c and walk.c share: reading one event that json_scan() has accepted. */
#ifndef RECTIFY_PATTERN_WALK_INTERNAL_H
#define RECTIFY_PATTERN_WALK_INTERNAL_H

#include "pattern/pattern_internal.h"

#define KEYS_TABLE ((size_t)1 << 20) // slots: twice the most strings of an event

/* Reads the object that begins at `at` of `text`, the scanned event without the white space at its
 * end, which is `}`: its leaves are evaluated. False = refused, by G0201, G0204 or G0206. */
bool walk_event(struct pattern_scratch *scratch, struct str text, size_t at,
                const struct pattern_options *options, struct error *err)
    __attribute__((warn_unused_result));
#ifdef __x86_64__
/* The same, compiled for processors with AVX2 and BMI2. */
bool walk_event_avx2(struct pattern_scratch *scratch, struct str text, size_t at,
                     const struct pattern_options *options, struct error *err)
    __attribute__((warn_unused_result));
#endif
static inline bool (*walk_fastest(void))(struct pattern_scratch *, struct str, size_t,
                                         const struct pattern_options *, struct error *)
{
#ifdef __x86_64__
    if (json_scan_has_avx2())
        return walk_event_avx2;
#endif
    return walk_event;
}

/* Sets an error at a position of the scanned text. Returns false. */
bool walk_refuse(const struct pattern_scratch *scratch, size_t at, const char *code,
                 const char *what, struct error *err);

#endif
