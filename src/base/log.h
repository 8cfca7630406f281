// SPDX-License-Identifier: Apache-2.0
/* The program's log: one line a message on standard error, control characters escaped, never a
 * secret. Only main, cli, engine and http log; libraries return errors. Any thread. */
#ifndef RECTIFY_BASE_LOG_H
#define RECTIFY_BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level level); // default LOG_INFO; call before threads start
/* From here on each line is a JSON object {timestamp, level, message} with requestId where one is
 * set, as Lambda's JSON logs have it. NULL, or longer than 64 bytes: none. One thread. */
void log_set_json(void);
void log_set_request(const char *id);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
