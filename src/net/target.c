// SPDX-License-Identifier: Apache-2.0
/* Where a request goes: its URL taken apart, and the proxy that the environment names for it. The
 * path is never changed: what was signed is what is sent. */
#include "net/net_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"

static bool fail(char reason[256], const char *why)
{
    snprintf(reason, 256, "%s", why);
    return false;
}

/* ---- the URL ---- */

/* "host:8080", "[::1]:8080", "host": host without brackets. */
static bool parse_authority(struct str authority, const char *default_port, struct str *ret_host,
                            char ret_port[6])
{
    struct str host, port;
    if (authority.len && authority.ptr[0] == '[') {
        size_t end = str_find_byte(authority, ']');
        if (end == SIZE_MAX)
            return false;
        host = str_sub(authority, 1, end - 1);
        port = str_sub(authority, end + 1, SIZE_MAX);
        if (port.len && port.ptr[0] != ':')
            return false;
        port = str_sub(port, 1, SIZE_MAX);
    } else {
        port = authority;
        host = str_cut(&port, ':');
    }
    int64_t number;
    if (port.len && (!str_to_int64(port, &number) || number < 1 || number > 65535))
        return false;
    if (host.len == 0 || host.len > 255)
        return false;
    snprintf(ret_port, 6, "%.*s", STR_FMT(port.len ? port : str_from(default_port)));
    *ret_host = host;
    return true;
}

static bool is_clean(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c == 0x7f)
            return false;
    }
    return true;
}

static bool parse_url(struct str url, struct target *ret, char reason[256])
{
    struct str rest;
    if (str_starts(url, STR("https://"))) {
        ret->tls = true;
        rest = str_sub(url, 8, SIZE_MAX);
    } else if (str_starts(url, STR("http://"))) {
        rest = str_sub(url, 7, SIZE_MAX);
    } else {
        return fail(reason, "the address is neither http:// nor https://");
    }
    size_t end = 0;
    while (end < rest.len && !strchr("/?#", rest.ptr[end]))
        end++;
    ret->authority = str_sub(rest, 0, end);
    ret->path = str_sub(rest, end, SIZE_MAX);
    ret->path = str_sub(ret->path, 0, str_find_byte(ret->path, '#'));
    if (str_find_byte(ret->authority, '@') != SIZE_MAX)
        return fail(reason, "the address holds a user name, which is not supported");
    if (!is_clean(url) ||
        !parse_authority(ret->authority, ret->tls ? "443" : "80", &ret->host, ret->port))
        return fail(reason, "the address is malformed");
    return true;
}

/* ---- proxies ---- */

static char *variable(const char *name, const char *other)
{
    const char *value = getenv(name);
    if ((!value || !*value) && other)
        value = getenv(other);
    return value && *value ? strdup(value) : NULL;
}

void proxies_read(struct proxies *proxies)
{
    *proxies = (struct proxies){
        /* HTTP_PROXY can be set by whoever sends a header "Proxy" to a CGI program. */
        .http = variable("http_proxy", NULL),
        .https = variable("https_proxy", "HTTPS_PROXY"),
        .all = variable("all_proxy", "ALL_PROXY"),
        .none = variable("no_proxy", "NO_PROXY"),
    };
}

void proxies_free(struct proxies *proxies)
{
    free(proxies->http);
    free(proxies->https);
    free(proxies->all);
    free(proxies->none);
    *proxies = (struct proxies){0};
}

static bool is_excepted(const char *none, struct str host)
{
    struct str rest = str_from(none);
    while (rest.len) {
        struct str one = str_trim(str_cut(&rest, ','));
        if (str_is(one, "*"))
            return true;
        if (one.len > 1 && one.ptr[0] == '[')
            one = str_sub(one, 1, one.len - 2);
        if (one.len && one.ptr[0] == '.')
            one = str_sub(one, 1, SIZE_MAX);
        if (one.len == 0 || one.len > host.len)
            continue;
        struct str tail = str_sub(host, host.len - one.len, SIZE_MAX);
        if (str_eq_nocase(tail, one) &&
            (host.len == one.len || host.ptr[host.len - one.len - 1] == '.'))
            return true;
    }
    return false;
}

/* The machine's own metadata and credential servers: what they say is nobody else's business. */
static bool is_link_local(struct str host)
{
    return str_starts(host, STR("169.254.")) || str_starts(host, STR("fe80:")) ||
           str_starts(host, STR("fd00:ec2::"));
}

static bool use_proxy(const char *url, struct target *ret, char reason[256])
{
    struct str rest = str_from(url);
    size_t scheme = str_find(rest, STR("://"));
    if (scheme != SIZE_MAX) {
        if (!str_eq_nocase(str_sub(rest, 0, scheme), STR("http")))
            return fail(reason, "the configured proxy is not an http:// proxy");
        rest = str_sub(rest, scheme + 3, SIZE_MAX);
    }
    struct str authority = str_cut(&rest, '/');
    size_t at = str_find_byte(authority, '@');
    if (at != SIZE_MAX) {
        ret->proxy_user = str_sub(authority, 0, at);
        authority = str_sub(authority, at + 1, SIZE_MAX);
    }
    if (!is_clean(authority) ||
        !parse_authority(authority, "1080", &ret->connect_host, ret->connect_port))
        return fail(reason, "the configured proxy's address is malformed");
    ret->through_proxy = true;
    return true;
}

bool target_parse(const struct proxies *proxies, const struct net_request *request,
                  struct target *ret, char reason[256])
{
    struct target target = {.unix_socket = request->unix_socket,
                            .public_only = request->public_only};
    if (!parse_url(request->url, &target, reason))
        return false;
    target.connect_host = target.host;
    memcpy(target.connect_port, target.port, sizeof(target.port));
    const char *proxy = target.tls ? proxies->https : proxies->http;
    proxy = proxy ? proxy : proxies->all;
    if (proxy && !request->direct && !target.unix_socket.len && !is_link_local(target.host) &&
        !is_excepted(proxies->none, target.host) && !use_proxy(proxy, &target, reason))
        return false;
    struct str pieces[] = {target.tls ? STR("s ") : STR("p "),
                           target.host,
                           STR(" "),
                           str_from(target.port),
                           target.public_only ? STR(" public ") : STR(" "),
                           target.unix_socket};
    size_t size = 0;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        if (size + pieces[i].len >= sizeof(target.key))
            return fail(reason, "the address is too long");
        if (pieces[i].len)
            memcpy(target.key + size, pieces[i].ptr, pieces[i].len);
        size += pieces[i].len;
    }
    target.key[size] = '\0';
    target.key_hash = hash_bytes(target.key, size, 0);
    *ret = target;
    return true;
}
