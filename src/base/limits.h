// SPDX-License-Identifier: Apache-2.0
/* Every bound of the program, with its unit. Reaching one is an error that names it. Each has a
 * test at the bound and one past it. */
#ifndef RECTIFY_BASE_LIMITS_H
#define RECTIFY_BASE_LIMITS_H

#define LIMIT_EVENT_BYTES (1u << 20)         // one event, as EventBridge and SQS have it
#define LIMIT_JSON_DEPTH 64u                 // nesting of any JSON or YAML that we read
#define LIMIT_POLICY_FILE_BYTES (1u << 20)   // one policy file
#define LIMIT_EXPRESSION_CODE_POINTS 100000u // one CEL expression
#define LIMIT_EXPRESSION_DEPTH 250u          // its nesting
#define LIMIT_EXPRESSION_COST 1000000u       // cost units of one evaluation
#define LIMIT_EXPRESSION_ESTIMATE 10000000u  // cost units that a policy's expression may take when
#define LIMIT_EXPRESSION_ITEMS 100u          // ... each list, map and text of its data is so large
#define LIMIT_EVENT_COST 10000000u           // cost units of all evaluations of one step
#define LIMIT_ANSWER_BYTES (10u << 20)       // one HTTP answer
#define LIMIT_VARIABLES_BYTES (16u << 20)    // the variables of `rectify eval`
#define LIMIT_PAGES 10000u                   // pages of one paginated read
#define LIMIT_STEPS 64u                      // calls of one plan, repeats counted one by one
#define LIMIT_RECORD_BYTES 65535u            // one audit record (RFC 6962 leaf practice)
#define LIMIT_RESOURCE_ID_BYTES 1024u        // a resource's id
#define LIMIT_STATE_CHANGES 3u               // fingerprint changes before a person is asked
#define LIMIT_DELIVERIES 5u                  // deliveries of a poison event before quarantine
#define LIMIT_UNPACKED_BYTES (64u << 20)     // events of one HTTP request, once unpacked
#define LIMIT_SOURCES 32u                    // sources of one rectify.yaml
#define LIMIT_SOURCE_NAMES 10000u            // accounts, regions or buckets of one source
#define LIMIT_ANNOUNCED_FILES 1000u          // files that one message announces
#define LIMIT_DIGEST_FILES 10000u            // log files of one CloudTrail digest (an hour's)
#define LIMIT_RECEIVES 100u                  // of a message that nobody has finished with
#define LIMIT_BACKLOG 100000u                // remediations at work; with more, queues wait
#define LIMIT_REPLAY_MATCHES (1u << 24)      // distinct matches of one replay, 32 bytes each
#define LIMIT_REPLAY_UNITS (1u << 24)        // files and parts of files of one replay
#define LIMIT_HTTP_CONNECTIONS 128u          // to one listening address of ours
#define LIMIT_HTTP_HEAD_BYTES (32u << 10)    // request line and headers of one request to us
#define LIMIT_HTTP_PARAMETERS 16u            // of one request to us
#define LIMIT_HTTP_SECONDS 30u               // for one request to arrive
#define LIMIT_KEY_FILE_BYTES (64u << 10)     // keys that seal what is kept
#define LIMIT_ACCOUNTS 10000u                // accounts of rectify.yaml, and of a discovery
#define LIMIT_REGIONS 64u                    // regions of one account
#define LIMIT_EVERY_MS_MIN 60000             // between two scans, or discoveries, of one thing
#define LIMIT_SECRET_BYTES 4096u             // one token or secret of a channel
#define LIMIT_RETRY_AFTER_SECONDS 3600u      // of a pause that a channel's service asks for
#define LIMIT_NOTICE_BYTES (64u << 10)       // what one notice tells
#define LIMIT_NOTICE_SECONDS 86400u          // for how long sending it is tried
#define LIMIT_CHANNELS 16u                   // of rectify.yaml
#define LIMIT_CALLBACK_BYTES (256u << 10)    // what a channel's service sends us
#define LIMIT_CERTIFICATES_BYTES (4u << 20)  // a file of certificates that peers are verified by
#define LIMIT_PLAN_BYTES (256u << 20)        // the file of a plan

#endif
