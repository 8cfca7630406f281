// SPDX-License-Identifier: Apache-2.0
/* What the files of generate/ share. */
#ifndef RECTIFY_GENERATE_GENERATE_INTERNAL_H
#define RECTIFY_GENERATE_GENERATE_INTERNAL_H

#include "generate/generate.h"

/* ---- texts of this folder, deflated into the program at build (tools/text_to_c.py) ---- */

#define GENERATE_TEXT(name)                                                                        \
    extern const unsigned char generate_##name[];                                                  \
    extern const size_t generate_##name##_packed, generate_##name##_size;
GENERATE_TEXT(stack_json)
GENERATE_TEXT(stack_tf)
GENERATE_TEXT(member_json)
GENERATE_TEXT(member_tf)
#undef GENERATE_TEXT
/* One of them, unpacked into the arena. */
#define GENERATE_UNPACK(name, arena, ret, err)                                                     \
    generate_unpack(generate_##name, generate_##name##_packed, generate_##name##_size, arena, ret, \
                    err)
bool generate_unpack(const unsigned char *packed, size_t packed_size, size_t size,
                     struct arena *arena, struct str *ret, struct error *err)
    __attribute__((warn_unused_result));

/* ---- small helpers ---- */

/* {"name": value} */
struct value generate_pair(struct arena *arena, const char *name, struct value v);
struct value generate_text(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A list of one string. */
struct value generate_one(struct arena *arena, const char *text);
/* The document, or where it allows nothing one that says so: IAM takes no empty list. */
struct value generate_or_nothing(struct arena *arena, struct value document);
/* The accounts that rectify.yaml lists, as strings, without the one that `options` names. */
bool generate_members(const struct generate_options *options, struct arena *arena,
                      struct value *ret, struct error *err) __attribute__((warn_unused_result));
/* Does the policy run where these options say (else it needs nothing), and may it act there? */
enum mode generate_mode(const struct generate_options *options, const struct policy *policy,
                        struct arena *arena);

/* ---- HCL (hcl.c) ---- */

/* A value as an expression, the way `terraform fmt` would write it; `indent` is that of the line it
 * starts on. A string that is "${expression}" alone becomes the expression. */
void hcl_write(struct buf *out, struct value v, unsigned indent);

#endif
