// SPDX-License-Identifier: Apache-2.0
/* What the files of detect/ share. */
#ifndef RECTIFY_DETECT_DETECT_INTERNAL_H
#define RECTIFY_DETECT_DETECT_INTERNAL_H

#include "detect/detect.h"

/* ---- what reader.c reads from: a descriptor's bytes, unpacked (input.c) ---- */

/* Plain, gzip (any number of members) or zstd (any number of frames), told apart by the first
 * bytes. One thread. */
struct input;
struct input *input_open(int fd); // takes a copy of `fd`; NULL = out of memory or descriptors
struct input *input_open_text(struct str text); // borrowed; NULL = out of memory
void input_close(struct input *input);
/* Up to `size` more bytes; 0 at the end, for which input_broken() may have a reason. */
size_t input_read(struct input *input, char *out, size_t size);
/* Why the data ended before its end (static), or NULL. */
const char *input_broken(const struct input *input);
/* Bytes taken from the descriptor so far. */
uint64_t input_taken(const struct input *input);

/* ---- names that an event must carry (sieve.c) ---- */

struct sieve;
struct sieve *sieve_create(void);
void sieve_destroy(struct sieve *sieve);
/* Takes in what a trigger's pattern demands of detail.eventName. False: out of memory. */
bool sieve_add(struct sieve *sieve, struct str pattern) __attribute__((warn_unused_result));
/* False: no pattern that was added can match this text, whatever it is. */
bool sieve_may_match(const struct sieve *sieve, struct str text);

#endif
