// SPDX-License-Identifier: Apache-2.0
/* IP addresses and networks. An IPv4 address written as IPv6 (::ffff:c0a8:1) is the IPv4 address;
 * the dotted spelling of those, zones, and leading zeros are refused, so that no two readers can
 * take an address differently. */
#include <stdio.h>
#include <arpa/inet.h>

#include "cel/cel_internal.h"

/* ---- reading and writing ---- */

static bool ip_parse(struct str text, struct cel_ip *ret, const char **ret_why)
{
    char copy[INET6_ADDRSTRLEN + 1];
    struct cel_ip ip = {0};
    *ret_why = "not an IP address";
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, 0, text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (strchr(copy, '%')) {
        *ret_why = "a zone is not allowed";
        return false;
    }
    if (inet_pton(AF_INET, copy, ip.bytes) == 1) {
        ip.family = 4;
    } else if (inet_pton(AF_INET6, copy, ip.bytes) == 1) {
        static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
        ip.family = 6;
        if (memcmp(ip.bytes, mapped, sizeof mapped) == 0) {
            *ret_why = "an IPv4-mapped IPv6 address is not allowed in this form";
            if (strchr(copy, '.'))
                return false;
            memmove(ip.bytes, ip.bytes + 12, 4);
            memset(ip.bytes + 4, 0, 12);
            ip.family = 4;
        }
    } else {
        return false;
    }
    *ret = ip;
    return true;
}

static unsigned bits_of(const struct cel_ip *ip)
{
    return ip->family == 4 ? 32 : 128;
}

static bool cidr_parse(struct str text, struct cel_ip *ret, const char **ret_why)
{
    struct str rest = text;
    struct str address = str_cut(&rest, '/');
    int64_t prefix;
    if (!rest.ptr) {
        *ret_why = "a prefix length is missing";
        return false;
    }
    if (!ip_parse(address, ret, ret_why))
        return false;
    *ret_why = "not a prefix length";
    bool zeros = rest.len > 1 && rest.ptr[0] == '0';
    if (rest.len == 0 || rest.len > 3 || zeros || rest.ptr[0] == '-' ||
        !str_to_int64(rest, &prefix) || (uint64_t)prefix > bits_of(ret) ||
        (ret->family == 4 && memchr(address.ptr, ':', address.len)))
        return false;
    ret->prefix = (uint8_t)prefix;
    return true;
}

bool net_parse(struct str text, struct cel_ip *ret)
{
    const char *why;
    if (cidr_parse(text, ret, &why))
        return true;
    if (!ip_parse(text, ret, &why))
        return false;
    ret->prefix = (uint8_t)bits_of(ret);
    return true;
}

size_t ip_print(const struct cel_ip *ip, bool cidr, char ret[CEL_IP_TEXT_SIZE])
{
    inet_ntop(ip->family == 4 ? AF_INET : AF_INET6, ip->bytes, ret, CEL_IP_TEXT_SIZE);
    size_t size = strlen(ret);
    if (cidr)
        size += (size_t)snprintf(ret + size, CEL_IP_TEXT_SIZE - size, "/%u", ip->prefix);
    return size;
}

static struct value hold(struct cel_cx *cx, struct cel_ip ip, enum opaque_kind kind)
{
    struct cel_ip *kept = cx_alloc(cx, sizeof *kept);
    if (!kept)
        return cx_fail_memory(cx);
    *kept = ip;
    return (struct value){.kind = VALUE_OPAQUE, .aux = (uint16_t)kind, .opaque = kept};
}

static struct value bad_text(struct cel_cx *cx, const char *what, struct str text, const char *why)
{
    return cx_fail(cx, "C0206", "%s '%.*s' parse error: %s", what, STR_FMT(str_sub(text, 0, 80)),
                   why);
}

/* An argument that is an IP or its text. */
static bool ip_of(struct cel_cx *cx, struct value v, struct cel_ip *ret)
{
    const char *why;
    if (v.kind == VALUE_OPAQUE) {
        *ret = *(const struct cel_ip *)v.opaque;
        return true;
    }
    if (ip_parse(value_str(v), ret, &why))
        return true;
    bad_text(cx, "IP address", value_str(v), why);
    return false;
}

static bool cidr_of(struct cel_cx *cx, struct value v, struct cel_ip *ret)
{
    const char *why;
    if (v.kind == VALUE_OPAQUE) {
        *ret = *(const struct cel_ip *)v.opaque;
        return true;
    }
    if (cidr_parse(value_str(v), ret, &why))
        return true;
    bad_text(cx, "network address", value_str(v), why);
    return false;
}

/* ---- functions ---- */

static struct value make_ip(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct cel_ip ip;
    return ip_of(cx, v[0], &ip) ? hold(cx, ip, OPAQUE_IP) : cx_failed();
}

static struct value make_cidr(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)count;
    struct cel_ip ip;
    return cidr_of(cx, v[0], &ip) ? hold(cx, ip, OPAQUE_CIDR) : cx_failed();
}

static struct value is_ip(struct cel_cx *cx, const struct value *v, unsigned count)
{
    struct cel_ip ip;
    const char *why;
    (void)cx;
    bool fits = ip_parse(value_str(v[0]), &ip, &why);
    return value_bool(fits && (count < 2 || v[1].i == ip.family));
}

static struct value is_cidr(struct cel_cx *cx, const struct value *v, unsigned count)
{
    struct cel_ip ip;
    const char *why;
    (void)cx, (void)count;
    return value_bool(cidr_parse(value_str(v[0]), &ip, &why));
}

static struct value is_canonical(struct cel_cx *cx, const struct value *v, unsigned count)
{
    char text[CEL_IP_TEXT_SIZE];
    struct cel_ip ip;
    (void)count;
    if (!ip_of(cx, v[0], &ip))
        return cx_failed();
    size_t size = ip_print(&ip, false, text);
    return value_bool(str_eq(value_str(v[0]), (struct str){text, size}));
}

static struct value family(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)cx, (void)count;
    return value_int(((const struct cel_ip *)v->opaque)->family);
}

enum address_class { UNSPECIFIED, LOOPBACK, LINK_LOCAL_UNICAST, LINK_LOCAL_MULTICAST, MULTICAST };

/* RFC 6890, RFC 4291. */
static bool in_class(const struct cel_ip *ip, enum address_class which)
{
    static const uint8_t zero[16];
    const uint8_t *b = ip->bytes;
    bool v4 = ip->family == 4;
    switch (which) {
    case UNSPECIFIED:
        return memcmp(b, zero, v4 ? 4 : 16) == 0;
    case LOOPBACK:
        return v4 ? b[0] == 127 : memcmp(b, zero, 15) == 0 && b[15] == 1;
    case LINK_LOCAL_UNICAST:
        return v4 ? b[0] == 169 && b[1] == 254 : b[0] == 0xFE && (b[1] & 0xC0) == 0x80;
    case LINK_LOCAL_MULTICAST:
        return v4 ? b[0] == 224 && b[1] == 0 && b[2] == 0 : b[0] == 0xFF && (b[1] & 0x0F) == 2;
    case MULTICAST:
        return v4 ? (b[0] & 0xF0) == 0xE0 : b[0] == 0xFF;
    }
    return false;
}

#define ADDRESS_TEST(name, expression)                                                             \
    static struct value name(struct cel_cx *cx, const struct value *v, unsigned count)             \
    {                                                                                              \
        const struct cel_ip *ip = v->opaque;                                                       \
        (void)cx, (void)count;                                                                     \
        return value_bool(expression);                                                             \
    }
ADDRESS_TEST(is_unspecified, in_class(ip, UNSPECIFIED))
ADDRESS_TEST(is_loopback, in_class(ip, LOOPBACK))
ADDRESS_TEST(is_link_local_unicast, in_class(ip, LINK_LOCAL_UNICAST))
ADDRESS_TEST(is_link_local_multicast, in_class(ip, LINK_LOCAL_MULTICAST))

static bool global_unicast(const struct cel_ip *ip)
{
    bool broadcast = ip->family == 4 && memcmp(ip->bytes, "\xFF\xFF\xFF\xFF", 4) == 0;
    return !broadcast && !in_class(ip, UNSPECIFIED) && !in_class(ip, LOOPBACK) &&
           !in_class(ip, LINK_LOCAL_UNICAST) && !in_class(ip, MULTICAST);
}
ADDRESS_TEST(is_global_unicast, global_unicast(ip))

static bool same_prefix(const struct cel_ip *a, const struct cel_ip *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    return memcmp(a->bytes, b->bytes, whole) == 0 &&
           (rest == 0 || ((a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest)) == 0);
}

/* Is the network (an address: prefix of all bits) within a private one? RFC 1918, RFC 4193, shared
 * address space (RFC 6598). */
static bool is_within_private(const struct cel_ip *ip, unsigned prefix)
{
    static const struct cel_ip private[] = {
        {.family = 4, .prefix = 8, .bytes = {10}},
        {.family = 4, .prefix = 12, .bytes = {172, 16}},
        {.family = 4, .prefix = 16, .bytes = {192, 168}},
        {.family = 4, .prefix = 10, .bytes = {100, 64}},
        {.family = 6, .prefix = 7, .bytes = {0xFC}},
    };
    for (size_t i = 0; i < sizeof private / sizeof *private; i++)
        if (private[i].family == ip->family && private[i].prefix <= prefix &&
            same_prefix(&private[i], ip, private[i].prefix))
            return true;
    return false;
}
ADDRESS_TEST(is_private, is_within_private(ip, bits_of(ip)))

static struct value contains_ip(struct cel_cx *cx, const struct value *v, unsigned count)
{
    const struct cel_ip *net = v[0].opaque;
    struct cel_ip ip;
    (void)count;
    if (!ip_of(cx, v[1], &ip))
        return cx_failed();
    return value_bool(net->family == ip.family && same_prefix(net, &ip, net->prefix));
}

static struct value contains_cidr(struct cel_cx *cx, const struct value *v, unsigned count)
{
    const struct cel_ip *net = v[0].opaque;
    struct cel_ip other;
    (void)count;
    if (!cidr_of(cx, v[1], &other))
        return cx_failed();
    return value_bool(net->family == other.family && other.prefix >= net->prefix &&
                      same_prefix(net, &other, net->prefix));
}

static struct value overlaps(struct cel_cx *cx, const struct value *v, unsigned count)
{
    const struct cel_ip *net = v[0].opaque;
    struct cel_ip other;
    (void)count;
    if (!cidr_of(cx, v[1], &other))
        return cx_failed();
    unsigned bits = net->prefix < other.prefix ? net->prefix : other.prefix;
    return value_bool(net->family == other.family && same_prefix(net, &other, bits));
}

static struct value cidr_ip(struct cel_cx *cx, const struct value *v, unsigned count)
{
    struct cel_ip ip = *(const struct cel_ip *)v->opaque;
    (void)count;
    ip.prefix = 0;
    return hold(cx, ip, OPAQUE_IP);
}

static struct value masked(struct cel_cx *cx, const struct value *v, unsigned count)
{
    struct cel_ip net = *(const struct cel_ip *)v->opaque;
    (void)count;
    for (unsigned bit = net.prefix; bit < bits_of(&net); bit++)
        net.bytes[bit / 8] = (uint8_t)(net.bytes[bit / 8] & ~(0x80u >> bit % 8));
    return hold(cx, net, OPAQUE_CIDR);
}

static struct value prefix_length(struct cel_cx *cx, const struct value *v, unsigned count)
{
    (void)cx, (void)count;
    return value_int(((const struct cel_ip *)v->opaque)->prefix);
}

/* The whole internet is /0; what is at least as wide as this prefix is as good as that. */
#define WORLD_PREFIX_V4 0
#define WORLD_PREFIX_V6 0

static struct value is_world(struct cel_cx *cx, const struct value *v, unsigned count)
{
    struct cel_ip net;
    if (!cidr_of(cx, v[0], &net))
        return cx_failed();
    int64_t widest = count > 1 ? v[1].i : net.family == 4 ? WORLD_PREFIX_V4 : WORLD_PREFIX_V6;
    return value_bool(net.prefix <= widest && !is_within_private(&net, net.prefix));
}

static const struct cel_overload ips[] = {F(make_ip, &T_IP, &T_STRING), M(cidr_ip, &T_IP, &T_CIDR)};
static const struct cel_overload is_ips[] = {F(is_ip, &T_BOOL, &T_STRING),
                                             F(is_ip, &T_BOOL, &T_STRING, &T_INT)};
static const struct cel_overload canonicals[] = {F(is_canonical, &T_BOOL, &T_STRING)};
static const struct cel_overload families[] = {M(family, &T_INT, &T_IP)};
static const struct cel_overload unspecifieds[] = {M(is_unspecified, &T_BOOL, &T_IP)};
static const struct cel_overload loopbacks[] = {M(is_loopback, &T_BOOL, &T_IP)};
static const struct cel_overload unicasts[] = {M(is_global_unicast, &T_BOOL, &T_IP)};
static const struct cel_overload link_unicasts[] = {M(is_link_local_unicast, &T_BOOL, &T_IP)};
static const struct cel_overload link_multicasts[] = {M(is_link_local_multicast, &T_BOOL, &T_IP)};
static const struct cel_overload privates[] = {M(is_private, &T_BOOL, &T_IP)};
static const struct cel_overload cidrs[] = {F(make_cidr, &T_CIDR, &T_STRING)};
static const struct cel_overload is_cidrs[] = {F(is_cidr, &T_BOOL, &T_STRING)};
static const struct cel_overload contains_ips[] = {M(contains_ip, &T_BOOL, &T_CIDR, &T_IP),
                                                   M(contains_ip, &T_BOOL, &T_CIDR, &T_STRING)};
static const struct cel_overload contains_cidrs[] = {M(contains_cidr, &T_BOOL, &T_CIDR, &T_CIDR),
                                                     M(contains_cidr, &T_BOOL, &T_CIDR, &T_STRING)};
static const struct cel_overload overlapses[] = {M(overlaps, &T_BOOL, &T_CIDR, &T_CIDR),
                                                 M(overlaps, &T_BOOL, &T_CIDR, &T_STRING)};
static const struct cel_overload maskeds[] = {M(masked, &T_CIDR, &T_CIDR)};
static const struct cel_overload prefixes[] = {M(prefix_length, &T_INT, &T_CIDR)};
static const struct cel_overload worlds[] = {
    M(is_world, &T_BOOL, &T_CIDR), M(is_world, &T_BOOL, &T_CIDR, &T_INT),
    M(is_world, &T_BOOL, &T_STRING), M(is_world, &T_BOOL, &T_STRING, &T_INT)};

static const struct cel_function functions[] = {
    {"ip", "The address that the text is; of a network, its address.",
     "ip('10.0.0.1').family() == 4", OVERLOADS(ips)},
    {"isIP", "Is the text an IP address (of family 4 or 6)?", "isIP('::1', 6) && !isIP('10.0.0')",
     OVERLOADS(is_ips)},
    {"ip.isCanonical", "Is the address written in its canonical form?",
     "!ip.isCanonical('2001:DB8::1')", OVERLOADS(canonicals)},
    {"family", "4 or 6.", "ip('::1').family() == 6", OVERLOADS(families)},
    {"isUnspecified", "0.0.0.0 or ::.", "ip('0.0.0.0').isUnspecified()", OVERLOADS(unspecifieds)},
    {"isLoopback", "127.0.0.0/8 or ::1.", "ip('127.0.0.1').isLoopback()", OVERLOADS(loopbacks)},
    {"isGlobalUnicast", "An address of one host that is not loopback, link-local or unspecified.",
     "ip('8.8.8.8').isGlobalUnicast()", OVERLOADS(unicasts)},
    {"isLinkLocalUnicast", "169.254.0.0/16 or fe80::/10.",
     "ip('169.254.169.254').isLinkLocalUnicast()", OVERLOADS(link_unicasts)},
    {"isLinkLocalMulticast", "224.0.0.0/24 or ff02::/16.", "ip('224.0.0.1').isLinkLocalMulticast()",
     OVERLOADS(link_multicasts)},
    {"isPrivate", "An address of a private network (RFC 1918, 4193, 6598).",
     "ip('10.1.2.3').isPrivate()", OVERLOADS(privates)},
    {"cidr", "The network that the text is.", "cidr('10.0.0.0/8').containsIP('10.1.2.3')",
     OVERLOADS(cidrs)},
    {"isCIDR", "Is the text a network?", "isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.1')",
     OVERLOADS(is_cidrs)},
    {"containsIP", "Is the address in the network?", "cidr('::/0').containsIP('2001:db8::1')",
     OVERLOADS(contains_ips)},
    {"containsCIDR", "Is the whole other network in the network?",
     "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')", OVERLOADS(contains_cidrs)},
    {"overlaps", "Have both networks an address in common?",
     "cidr('10.1.0.0/16').overlaps('10.0.0.0/8')", OVERLOADS(overlapses)},
    {"masked", "The network with the host's bits cleared.",
     "string(cidr('10.1.2.3/8').masked()) == '10.0.0.0/8'", OVERLOADS(maskeds)},
    {"prefixLength", "How many bits name the network.", "cidr('10.0.0.0/8').prefixLength() == 8",
     OVERLOADS(prefixes)},
    {"isWorld",
     "Is the network the whole internet: /0, or with a second argument that prefix length or wider "
     "(0.0.0.0/1 and ::/1 together are the world too)? Private networks are not.",
     "'0.0.0.0/0'.isWorld() && '128.0.0.0/1'.isWorld(8) && !'10.0.0.0/8'.isWorld(8)",
     OVERLOADS(worlds)},
};

const struct cel_group group_network = {"network", false, OVERLOADS(functions)};
