// SPDX-License-Identifier: Apache-2.0
/* key: puts a new key in front of a key file; and the key file of this run. A key of KMS lies in
 * the file as KMS wrapped it: whoever has the file alone has nothing. */
#include "cli/cli.h"

#include "base/hash.h"
#include "net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- KMS ---- */

struct kms {
    struct aws_models *models;
    struct aws_caller caller;
};

/* Calls an operation of KMS where the key's ARN says; said with every call, so that CloudTrail and
 * key policies can tell what the key is used for. */
static bool call_kms(const struct kms *kms, const char *operation, struct str arn,
                     struct value_builder *input, struct arena *arena, struct value *ret,
                     struct error *err)
{
    struct str rest = arn, parts[5];
    for (size_t i = 0; i < 5; i++)
        parts[i] = str_cut(&rest, ':');
    if (!str_is(parts[0], "arn") || !str_is(parts[2], "kms") || !rest.len)
        return error_set(err, "K0006", "`%.*s` is not the ARN of a key of KMS", STR_FMT(arn));
    struct value_builder purpose = {.arena = arena};
    value_set(&purpose, "rectify", value_cstr("state"));
    value_set(input, "KeyId", value_string(arn));
    value_set(input, "EncryptionContext", value_finish_map(&purpose));
    struct aws_call call = {.operation = aws_operation_find(kms->models, str_from(operation), err),
                            .input = value_finish_map(input),
                            .region = parts[3],
                            .account = parts[4]};
    struct aws_answer answer;
    if (!call.operation)
        return false;
    kms->caller.call(kms->caller.ctx, &call, arena, &answer);
    if (answer.outcome != AWS_OK)
        return error_set(err, "K0006", "%s: %.*s: %.*s", operation, STR_FMT(answer.code),
                         STR_FMT(answer.message));
    *ret = answer.output;
    return true;
}

static bool unwrap(void *ctx, struct str arn, struct str wrapped, unsigned char ret[SEAL_KEY_SIZE],
                   struct error *err)
{
    struct arena arena ARENA_AUTO = {0};
    struct value_builder input = {.arena = &arena};
    struct value output;
    value_set(&input, "CiphertextBlob", value_bytes(wrapped));
    if (!call_kms(ctx, "kms:Decrypt", arn, &input, &arena, &output, err))
        return false;
    const struct value *plain = value_get(output, STR("Plaintext"));
    if (!plain || plain->kind != VALUE_BYTES || plain->len != SEAL_KEY_SIZE)
        return error_set(err, "K0006", "kms:Decrypt gave no key of %d bytes", SEAL_KEY_SIZE);
    memcpy(ret, plain->str, SEAL_KEY_SIZE);
    hash_wipe((char *)(uintptr_t)plain->str, plain->len);
    return true;
}

/* ---- the key file of this run ---- */

struct str cli_state_key(const struct policy_set *policies)
{
    const char *said = getenv("RECTIFY_STATE_KEY");
    return said && said[0] ? str_from(said)
           : policies      ? policy_set_state_key(policies)
                           : (struct str){0};
}

bool cli_load_keys(struct str path, struct aws_models *models, struct aws_caller caller,
                   struct seal_keys *ret, struct error *err)
{
    char name[4096];
    struct kms kms = {models, caller};
    snprintf(name, sizeof name, "%.*s", STR_FMT(path));
    return seal_keys_load(name, unwrap, &kms, ret, err);
}

/* ---- rectify key ---- */

static bool write_all(int fd, struct str text)
{
    while (text.len) {
        ssize_t n = write(fd, text.ptr, text.len);
        if (n <= 0)
            return false;
        text = str_sub(text, (size_t)n, SIZE_MAX);
    }
    return true;
}

/* The new line, then what was there, in a new file that takes the old one's place. */
static bool put_in_front(const char *path, struct str line, struct arena *arena, struct error *err)
{
    struct buf text = {.arena = arena};
    char chunk[4096];
    const char *temporary = arena_printf(arena, "%s.new", path);
    buf_add_str(&text, line);
    int old = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = temporary && (old >= 0 || errno == ENOENT);
    for (ssize_t n = 1; ok && old >= 0 && n > 0;) {
        n = read(old, chunk, sizeof chunk);
        ok = n >= 0;
        if (n > 0)
            buf_add_str(&text, (struct str){chunk, (size_t)n});
    }
    if (old >= 0)
        close(old);
    int fd = ok ? open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    struct str all = buf_str(&text);
    ok = fd >= 0 && all.ptr && write_all(fd, all) && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (ok && rename(temporary, path) != 0) {
        ok = false;
        why = errno;
    }
    if (!ok && fd >= 0)
        unlink(temporary);
    hash_wipe(chunk, sizeof chunk);
    if (all.ptr)
        hash_wipe((char *)(uintptr_t)all.ptr, all.len);
    return ok || error_set(err, "K0001", "cannot write the key file %s: %s", path, strerror(why));
}

static bool wrapped_line(const struct cli_options *options, struct arena *arena, struct buf *line,
                         struct error *err)
{
    struct aws_models *models = cli_open_models(options, err);
    struct net_options net_options = {.clock = clock_system()};
    struct net *net = models ? net_create(&net_options, err) : NULL;
    struct aws_client_options with = {.models = models, .net = net, .clock = clock_system()};
    struct aws_client *client = net ? aws_client_create(&with, err) : NULL;
    struct value_builder input = {.arena = arena};
    struct value output;
    bool ok = client != NULL;
    if (ok) {
        struct kms kms = {models, aws_client_caller(client)};
        value_set(&input, "KeySpec", value_cstr("AES_256"));
        ok = call_kms(&kms, "kms:GenerateDataKeyWithoutPlaintext", str_from(options->kms), &input,
                      arena, &output, err);
    }
    const struct value *blob = ok ? value_get(output, STR("CiphertextBlob")) : NULL;
    if (ok && (!blob || blob->kind != VALUE_BYTES))
        ok = error_set(err, "K0006", "KMS gave no key");
    if (ok)
        buf_printf(line, "kms %s %.*s\n", options->kms,
                   STR_FMT(hash_base64(arena, (struct str){blob->str, blob->len})));
    aws_client_destroy(client);
    net_destroy(net);
    aws_models_close(models);
    return ok;
}

int cli_key(const struct cli_options *options)
{
    struct arena arena ARENA_AUTO = {0};
    struct error err;
    struct buf line = {.arena = &arena};
    if (options->arg_count != 1)
        return cli_usage("`key` takes the key file");
    if (options->kms && !wrapped_line(options, &arena, &line, &err))
        return cli_fail(&err);
    if (!options->kms) {
        unsigned char bytes[SEAL_KEY_SIZE];
        clock_random(clock_system(), bytes, sizeof bytes);
        struct str text = hash_base64(&arena, (struct str){(char *)bytes, sizeof bytes});
        buf_printf(&line, "v1 %.*s\n", STR_FMT(text));
        hash_wipe(bytes, sizeof bytes);
        hash_wipe((char *)(uintptr_t)text.ptr, text.len);
    }
    if (!put_in_front(options->args[0], buf_str(&line), &arena, &err))
        return cli_fail(&err);
    fprintf(stderr, "%s: a new key seals from the next start on; the older ones still open\n",
            options->args[0]);
    return CLI_OK;
}
