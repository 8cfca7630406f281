// SPDX-License-Identifier: Apache-2.0
/* Whom a peer may be vouched for by.
 *
 *   a folder of hashed names   OpenSSL's own: a handshake reads the one file that it needs
 *   one file of many (PEM)     ours: split, and of each certificate only the subject is read; whole
 *                              is parsed what OpenSSL asks for by that name
 *
 * Parsing the 144 certificates of a system's file takes longer than a handshake, which needs one or
 * two of them. Verification is OpenSSL's and unchanged: it is told of the same certificates, only
 * later. One that is cut off or no certificate makes the whole file fail at once; one that is
 * broken inside vouches for nobody. */
#include "net/net_internal.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/authorities.h"
#include "base/limits.h"

#define CA_FOLDER "/etc/ssl/certs"

struct certificate {
    const unsigned char *der;
    long size;
    bool trusted; // "TRUSTED CERTIFICATE": OpenSSL's, says what it may vouch for
    X509_NAME *subject;
    X509 *parsed; // NULL until asked for; guarded by the bundle's lock
};

struct bundle {
    unsigned char *der;
    struct certificate *list;
    size_t count;
    pthread_mutex_t lock;
};

static void bundle_destroy(struct bundle *bundle)
{
    for (size_t i = 0; bundle && i < bundle->count; i++) {
        X509_NAME_free(bundle->list[i].subject);
        X509_free(bundle->list[i].parsed);
    }
    if (bundle) {
        pthread_mutex_destroy(&bundle->lock);
        free(bundle->list);
        free(bundle->der);
    }
    free(bundle);
}

/* ---- reading the file ---- */

/* Steps into an element, or over it: `at` is behind its head, or behind all of it. */
static bool take(const unsigned char **at, const unsigned char *end, int tag, bool over)
{
    long size = 0;
    int got = 0, class = 0;
    const unsigned char *p = *at;
    if (ASN1_get_object(&p, &size, &got, &class, end - p) & 0x80 || got != tag)
        return false;
    *at = over ? p + size : p;
    return true;
}

/* RFC 5280: Certificate { TBSCertificate { [0] version, serial, algorithm, issuer, validity,
 * subject, ... }, ... } */
static X509_NAME *read_subject(const unsigned char *der, long size)
{
    const unsigned char *at = der, *end = der + size;
    bool ok = take(&at, end, V_ASN1_SEQUENCE, false);
    ok = ok && take(&at, end, V_ASN1_SEQUENCE, false); // of the one within
    const unsigned char *version = at;
    if (ok && take(&version, end, 0, true))
        at = version;
    ok = ok && take(&at, end, V_ASN1_INTEGER, true) && take(&at, end, V_ASN1_SEQUENCE, true) &&
         take(&at, end, V_ASN1_SEQUENCE, true) && take(&at, end, V_ASN1_SEQUENCE, true);
    return ok ? d2i_X509_NAME(NULL, &at, end - at) : NULL;
}

/* The next "-----BEGIN X-----" whose X names a certificate, up to its END: `ret` is what stands
 * between. False: there is none (`ret_broken`: because the file ends within it). */
static bool next_block(struct str *rest, struct str *ret, bool *ret_trusted, bool *ret_broken)
{
    static const char *const names[] = {PEM_STRING_X509, PEM_STRING_X509_OLD,
                                        PEM_STRING_X509_TRUSTED};
    for (size_t at; (at = str_find(*rest, STR("-----BEGIN "))) != SIZE_MAX;) {
        *rest = str_sub(*rest, at + strlen("-----BEGIN "), SIZE_MAX);
        for (size_t i = 0; i < 3; i++) {
            char edge[64];
            snprintf(edge, sizeof(edge), "%s-----", names[i]);
            if (!str_starts(*rest, str_from(edge)))
                continue;
            *rest = str_sub(*rest, strlen(edge), SIZE_MAX);
            snprintf(edge, sizeof(edge), "-----END %s-----", names[i]);
            size_t end = str_find(*rest, str_from(edge));
            *ret_broken = end == SIZE_MAX;
            if (*ret_broken)
                return false;
            *ret = str_sub(*rest, 0, end);
            *rest = str_sub(*rest, end, SIZE_MAX);
            *ret_trusted = i == 2;
            return true;
        }
    }
    *ret_broken = false;
    return false;
}

static bool add_certificate(struct bundle *bundle, EVP_ENCODE_CTX *decoder, struct str text,
                            bool trusted, unsigned char **free_space)
{
    int size = 0, rest = 0;
    struct certificate *new = &bundle->list[bundle->count];
    EVP_DecodeInit(decoder);
    if (EVP_DecodeUpdate(decoder, *free_space, &size, (const unsigned char *)text.ptr,
                         (int)text.len) < 0 ||
        EVP_DecodeFinal(decoder, *free_space + size, &rest) != 1)
        return false;
    *new = (struct certificate){.der = *free_space, .size = size + rest, .trusted = trusted};
    new->subject = read_subject(new->der, new->size);
    *free_space += new->size;
    bundle->count += new->subject != NULL;
    return new->subject != NULL;
}

/* NULL with a reason. */
static struct bundle *bundle_parse(struct str text, char reason[256])
{
    struct str rest = text, block;
    bool trusted, broken = false;
    size_t count = 0;
    while (next_block(&rest, &block, &trusted, &broken))
        count++;
    struct bundle *bundle = calloc(1, sizeof(*bundle));
    EVP_ENCODE_CTX *decoder = EVP_ENCODE_CTX_new();
    if (bundle) {
        pthread_mutex_init(&bundle->lock, NULL);
        bundle->der = malloc(text.len + 1); // more than all of them decoded
        bundle->list = calloc(count + 1, sizeof(*bundle->list));
    }
    bool ok = bundle && decoder && bundle->der && bundle->list;
    snprintf(reason, 256, "out of memory");
    unsigned char *free_space = ok ? bundle->der : NULL;
    rest = text;
    while (ok && !broken && next_block(&rest, &block, &trusted, &broken)) {
        ok = add_certificate(bundle, decoder, block, trusted, &free_space);
        if (!ok)
            snprintf(reason, 256, "certificate %zu of the file is broken", bundle->count + 1);
    }
    if (broken)
        snprintf(reason, 256, "the file ends within a certificate");
    else if (ok && count == 0)
        snprintf(reason, 256, "there is no certificate in it");
    EVP_ENCODE_CTX_free(decoder);
    if (ok && !broken && count)
        return bundle;
    bundle_destroy(bundle);
    return NULL;
}

static struct bundle *bundle_read(const char *path, char reason[256])
{
    char *text = malloc(LIMIT_CERTIFICATES_BYTES + 1);
    FILE *file = text ? fopen(path, "rbe") : NULL;
    struct bundle *bundle = NULL;
    snprintf(reason, 256, "%s", strerror(errno));
    size_t size = file ? fread(text, 1, LIMIT_CERTIFICATES_BYTES + 1, file) : 0;
    if (file && ferror(file))
        snprintf(reason, 256, "%s", strerror(errno));
    else if (size > LIMIT_CERTIFICATES_BYTES)
        snprintf(reason, 256, "it is larger than %u MiB", LIMIT_CERTIFICATES_BYTES >> 20);
    else if (file)
        bundle = bundle_parse((struct str){text, size}, reason);
    if (file)
        fclose(file);
    free(text);
    return bundle;
}

/* ---- OpenSSL asks ---- */

/* Borrowed from the bundle, or NULL: it is broken inside. */
static X509 *parse(struct bundle *bundle, struct certificate *certificate)
{
    pthread_mutex_lock(&bundle->lock);
    const unsigned char *at = certificate->der;
    if (!certificate->parsed && certificate->trusted)
        certificate->parsed = d2i_X509_AUX(NULL, &at, certificate->size);
    else if (!certificate->parsed)
        certificate->parsed = d2i_X509(NULL, &at, certificate->size);
    pthread_mutex_unlock(&bundle->lock);
    return certificate->parsed;
}

/* All certificates of that name go into the store, where OpenSSL looks for others of it; `ret` is
 * one of them, borrowed, as OpenSSL's own lookups do it. */
static int find_by_subject(X509_LOOKUP *lookup, X509_LOOKUP_TYPE type, const X509_NAME *name,
                           X509_OBJECT *ret)
{
    struct bundle *bundle = X509_LOOKUP_get_method_data(lookup);
    X509 *found = NULL;
    for (size_t i = 0; type == X509_LU_X509 && i < bundle->count; i++) {
        if (X509_NAME_cmp(bundle->list[i].subject, name) != 0)
            continue;
        X509 *parsed = parse(bundle, &bundle->list[i]);
        if (parsed && X509_STORE_add_cert(X509_LOOKUP_get_store(lookup), parsed) == 1)
            found = parsed;
    }
    if (!found || X509_OBJECT_set1_X509(ret, found) != 1)
        return 0;
    X509_free(found); // the bundle has a reference for as long as the store has the lookup
    return 1;
}

static void forget_bundle(X509_LOOKUP *lookup)
{
    bundle_destroy(X509_LOOKUP_get_method_data(lookup));
}

static X509_LOOKUP_METHOD *method;

static void make_method(void)
{
    method = X509_LOOKUP_meth_new("rectify");
    if (method && (X509_LOOKUP_meth_set_get_by_subject(method, find_by_subject) != 1 ||
                   X509_LOOKUP_meth_set_free(method, forget_bundle) != 1)) {
        X509_LOOKUP_meth_free(method);
        method = NULL;
    }
}

static bool load_file(SSL_CTX *ctx, const char *path, char reason[256])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    struct bundle *bundle = bundle_read(path, reason);
    X509_LOOKUP *lookup =
        bundle && method ? X509_STORE_add_lookup(SSL_CTX_get_cert_store(ctx), method) : NULL;
    if (bundle && lookup && X509_LOOKUP_set_method_data(lookup, bundle) == 1)
        return true;
    if (bundle)
        snprintf(reason, 256, "out of memory");
    bundle_destroy(bundle);
    return false;
}

/* ---- which ---- */

static bool has_hashed_names(const char *folder)
{
    DIR *dir = opendir(folder);
    bool found = false;
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));)
        found =
            strspn(entry->d_name, "0123456789abcdef") == 8 && strcmp(entry->d_name + 8, ".0") == 0;
    if (dir)
        closedir(dir);
    return found;
}

bool certificates_load(SSL_CTX *ctx, const char *path, char reason[256])
{
    struct stat info;
    char why[256] = "out of memory";
    if (!path)
        path = has_hashed_names(CA_FOLDER) ? CA_FOLDER : authorities_file();
    bool folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    if (folder ? SSL_CTX_load_verify_dir(ctx, path) == 1 : load_file(ctx, path, why))
        return true;
    snprintf(reason, 256, "the certificates of %.120s cannot be loaded: %.90s", path, why);
    return false;
}
