// SPDX-License-Identifier: Apache-2.0
/* Inside of the protocols: what their writers and readers share. No state; any thread. */
#ifndef RECTIFY_AWS_PROTOCOL_INTERNAL_H
#define RECTIFY_AWS_PROTOCOL_INTERNAL_H

#include "aws/aws_internal.h"
#include "aws/xml_internal.h"
#include "base/limits.h"

/* Where in an input or answer something is, as a chain on the stack: "Tagging.TagSet[0].Key". */
struct aws_path {
    const struct aws_path *up; // NULL at the root
    struct str name;           // a member or key; ptr NULL for a list item
    size_t index;
};
void aws_path_write(struct buf *out, const struct aws_path *path);

/* One body, form or list of parameters being written. */
struct writer {
    const struct aws_operation *op;
    struct arena *arena;
    struct buf *out; // where the body is written: &body once that is begun
    struct buf body;
    struct error *err;
    unsigned depth;
    bool first; // nothing separable has been written yet
};

/* "s3:PutBucketTagging: Tagging.TagSet[0]: MESSAGE". Returns false. */
bool writer_fail(const struct writer *w, const char *code, const struct aws_path *path,
                 const char *message) __attribute__((cold));
/* False (A0154) when the input nests too deep. Each true needs a writer_leave(). */
bool writer_enter(struct writer *w, const struct aws_path *path);
static inline void writer_leave(struct writer *w)
{
    w->depth--;
}
/* The ref of the member that the pair sets, or NULL with the error set. */
const struct aws_ref *writer_member(const struct writer *w, const struct aws_shape *shape,
                                    const struct value_pair *pair, const struct aws_path *path);
/* Text of a scalar as forms, XML and headers have it; timestamps in the ref's format, else in
 * `format`; blobs in base64. */
bool writer_scalar(const struct writer *w, struct buf *out, const struct aws_ref *ref,
                   struct value v, enum aws_time_format format, const struct aws_path *path);
/* Bytes of a blob given as bytes or text. */
bool writer_blob(const struct writer *w, struct value v, const struct aws_path *path,
                 struct str *ret);

/* Any accepted form of a point in time (timestamp, RFC 3339 text, epoch seconds) to a timestamp. */
bool time_from_value(struct value v, struct value *ret);
/* ISO 8601, RFC 822 or epoch seconds, as text. */
bool time_from_text(struct str text, struct value *ret);
void time_write(struct buf *out, struct value timestamp, enum aws_time_format format);

/* ---- bodies of requests ---- */

/* `top`: members with a location are left out. */
bool json_body(struct writer *w, const struct aws_ref *ref, struct value v, bool top);
bool xml_body(struct writer *w, const struct aws_ref *ref, struct value v, bool top);
bool form_body(struct writer *w, struct value input);
bool cbor_body(struct writer *w, const struct aws_ref *ref, struct value v);

/* ---- requests without the customisations ---- */

bool protocol_serialize(const struct aws_operation *op, struct value input, struct arena *arena,
                        struct aws_http_request *ret, struct error *err);
bool rest_serialize(struct writer *w, struct value input, struct aws_http_request *request);
/* The host prefix with its labels filled in. */
bool request_host_prefix(struct writer *w, struct value input, struct aws_http_request *request);

/* ---- answers ---- */

struct reader {
    const struct aws_operation *op;
    const struct aws_http_answer *answer;
    struct arena *arena;
    struct error *err;
    unsigned depth;
};
bool reader_fail(const struct reader *r, const struct aws_path *path, const char *message)
    __attribute__((cold));
bool reader_enter(struct reader *r, const struct aws_path *path);
static inline void reader_leave(struct reader *r)
{
    r->depth--;
}
/* A scalar from its text (XML, headers). */
bool reader_scalar(struct reader *r, const struct aws_ref *ref, struct str text,
                   const struct aws_path *path, struct value *ret);
/* Ends a map of which keys may repeat: the last one counts. */
bool reader_map(struct reader *r, struct value_pair *pairs, size_t count, struct value *ret);
struct str answer_header(const struct aws_http_answer *answer, struct str name);

bool json_read(struct reader *r, const struct aws_ref *ref, struct value v,
               const struct aws_path *path, struct value *ret);
bool xml_read(struct reader *r, const struct aws_ref *ref, const struct xml_node *node,
              const struct aws_path *path, struct value *ret);
/* One CBOR item; A0185 when it is malformed, nests too deep, or is followed by something. */
bool cbor_parse(struct arena *arena, struct str text, struct value *ret, struct error *err);
/* The pairs of a structure's members that the body holds; `ret` has room for all members. */
bool json_read_members(struct reader *r, const struct aws_shape *shape, struct value v,
                       const struct aws_path *path, struct value_pair *ret, size_t *ret_count);
bool xml_read_members(struct reader *r, const struct aws_shape *shape, const struct xml_node *node,
                      const struct aws_path *path, struct value_pair *ret, size_t *ret_count);
/* Members in headers and status, appended to `ret`. */
bool rest_read_headers(struct reader *r, const struct aws_shape *shape, struct value_pair *ret,
                       size_t *ret_count);
bool protocol_parse(const struct aws_operation *op, const struct aws_http_answer *answer,
                    struct arena *arena, struct value *ret, struct error *err);

/* ---- customisations: what the models do not say ---- */

/* The input as it is to be sent, from the caller's. */
bool custom_input(const struct aws_operation *op, struct value input, struct arena *arena,
                  struct value *ret);
bool custom_request(const struct aws_operation *op, struct arena *arena,
                    struct aws_http_request *request);
bool custom_output(const struct aws_operation *op, const struct aws_http_answer *answer,
                   struct arena *arena, struct value *output);

#endif
