// SPDX-License-Identifier: Apache-2.0
/* CloudTrail's files in S3, and the digests that vouch for them.
 *
 * Every hour, and for each account, region and trail, CloudTrail writes a digest: the hashes of the
 * log files of that hour, the hash and the signature of the digest before, all of it signed by
 * CloudTrail's key of that region. A digest whose own signature holds proves the files that it
 * lists; its predecessor only says whether something is missing or was changed before it.
 *
 *   digest N-1 ◄─hash, signature── digest N ──hash──► log file, log file, ...
 *        ▲                            ▲
 *        └── CloudTrail's public key ─┘  (cloudtrail:ListPublicKeys in the digest's region)
 *
 * Functions block for their calls and repeat none. Any thread. Errors T0xxx.
 * Source: CloudTrail User Guide, "Digest file structure" and "Custom implementations of log file
 * integrity validation". */
#ifndef RECTIFY_DETECT_TRAIL_H
#define RECTIFY_DETECT_TRAIL_H

#include "base/hash.h"
#include "detect/queue.h"

struct detect_trail {
    const struct policy_source *source;
    struct aws_caller caller;
    const struct aws_operation *get, *keys;
};
/* `source` is borrowed. False: the models do not know S3 and CloudTrail. */
bool detect_trail_open(struct detect_trail *ret, const struct policy_source *source,
                       struct aws_models *models, struct aws_caller caller, struct error *err)
    __attribute__((warn_unused_result));

enum detect_trail_kind { // by the key
    TRAIL_LOG,
    TRAIL_DIGEST,
    TRAIL_NOTHING, // folders, and CloudTrail's insights: no events of ours
    TRAIL_OTHER,   // not CloudTrail's
};
enum detect_trail_kind detect_trail_kind(struct str key);

enum detect_fetch {
    FETCH_GOOD,
    FETCH_LATER,   // the call did not get through: try again
    FETCH_REFUSED, // S3 will not give it (T0012), it is too large or damaged (T0013), or its bucket
                   //   is not listed (T0014)
};
/* A file, unpacked, in `arena`, with its metadata; at most LIMIT_ANSWER_BYTES packed and
 * LIMIT_UNPACKED_BYTES unpacked. */
struct detect_fetched {
    struct str text;
    struct sha256 hash; // of `text`
    struct value metadata;
    bool missing; // REFUSED because it does not exist
};
enum detect_fetch detect_trail_fetch(const struct detect_trail *trail,
                                     const struct detect_file *file, struct arena *arena,
                                     struct detect_fetched *ret, struct error *err)
    __attribute__((warn_unused_result));

struct detect_log { // a log file that a digest vouches for
    struct detect_file file;
    struct sha256 hash;
};
struct detect_digest {
    struct str account, end; // whose; until when it vouches
    const struct detect_log *logs;
    size_t log_count;
    struct detect_file previous; // bucket empty: it is the first of its trail
    struct sha256 previous_hash;
    struct str previous_signature; // hex
};
/* Reads a digest and holds its signature against CloudTrail's key. FETCH_REFUSED with T0015: it is
 * not what CloudTrail has written, and vouches for nothing. */
enum detect_fetch detect_trail_digest(const struct detect_trail *trail,
                                      const struct detect_file *file, struct arena *arena,
                                      struct detect_digest *ret, struct error *err)
    __attribute__((warn_unused_result));
/* Is the digest before it there, and the one that it says? REFUSED with T0016: it is not. */
enum detect_fetch detect_trail_previous(const struct detect_trail *trail,
                                        const struct detect_digest *digest, struct arena *arena,
                                        struct error *err) __attribute__((warn_unused_result));

/* The parts that make no call. `text`: the digest, unpacked; T0015 when it is none, or of another
 * place than `file`. *ret_fingerprint: of the key that signed it. */
bool detect_digest_read(struct str text, const struct detect_file *file, struct arena *arena,
                        struct detect_digest *ret, struct str *ret_fingerprint, struct error *err)
    __attribute__((warn_unused_result));
/* T0015 when `signature` (hex) over it is not by `key` (PKCS #1, DER). */
bool detect_digest_check(struct str text, const struct detect_digest *digest,
                         const struct detect_file *file, struct str key, struct str signature,
                         struct arena *arena, struct error *err)
    __attribute__((warn_unused_result));

#endif
