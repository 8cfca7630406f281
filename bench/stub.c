// SPDX-License-Identifier: Apache-2.0
/* An HTTP/1.1 server on loopback that answers like S3's bucket tagging and STS, and costs almost
 * nothing: one thread, epoll, keep-alive, canned answers, so that the client's own cost shows.
 *
 *   stub PORT [-w MS] [-n N]   -w: every answer leaves MS milliseconds after its request
 *                              -n: ListBuckets names N buckets, ok-00000 and so on
 *
 * A bucket whose name begins with "ok" has the tag cost-center; any other has none until a PUT,
 * whose body it then answers with. GET /__counts gives the counters and the clock (CLOCK_MONOTONIC,
 * ns) of the first and the last request since the last GET /__reset; /__reset forgets the buckets
 * too. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX (64 * 1024)
#define BUCKETS_MAX (1 << 17) // a power of two

struct connection {
    int fd;
    size_t len;
    int pending; // answers that wait for their time
    char in[REQUEST_MAX];
};

struct late { // an answer on its way, in the order of leaving
    int64_t due_ns;
    struct connection *to;
    struct late *next;
    size_t len;
    char bytes[];
};

struct bucket { // what was put
    char *name, *body;
    size_t len;
};

struct stub {
    int epoll, listener;
    int64_t delay_ns, first_ns, last_ns;
    long gets, puts, sts, lists, locations, others, connections;
    long bucket_count; // that ListBuckets names
    struct late *head, *tail;
    struct bucket *buckets;
};

#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define TAG(k, v) "<Tag><Key>" k "</Key><Value>" v "</Value></Tag>"
#define TAGGING(tags)                                                                              \
    XML "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet>" tags                 \
        "</TagSet></Tagging>"
static const char with_tag[] = TAGGING(TAG("owner", "alice") TAG("cost-center", "cc-1"));
static const char without_tag[] = TAGGING(TAG("owner", "alice") TAG("env", "dev"));
static const char identity[] =
    "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
    "<GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/bench</Arn><UserId>AKIA</UserId>"
    "<Account>123456789012</Account></GetCallerIdentityResult><ResponseMetadata>"
    "<RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata>"
    "</GetCallerIdentityResponse>";
static const char location[] =
    XML "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>";
static const char not_found[] = XML "<Error><Code>NoSuchBucket</Code><Message>none</Message>"
                                    "<RequestId>4442587FB7D0A2F9</RequestId></Error>";

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        }
    }
    return true;
}

static bool answer(struct stub *s, struct connection *c, const char *status, const char *body,
                   size_t len, bool at_once)
{
    char head[512];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %s\r\nServer: stub\r\nDate: Sun, 24 Nov 2024 00:00:00 GMT\r\n"
                     "x-amz-request-id: 4442587FB7D0A2F9\r\nContent-Type: application/xml\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     status, len);
    struct late *late = malloc(sizeof *late + (size_t)n + len);
    if (!late)
        return false;
    memcpy(late->bytes, head, (size_t)n);
    memcpy(late->bytes + n, body, len);
    late->len = (size_t)n + len;
    if (s->delay_ns == 0 || at_once) {
        bool sent = send_all(c->fd, late->bytes, late->len);
        free(late);
        return sent;
    }
    late->due_ns = now_ns() + s->delay_ns;
    late->to = c;
    late->next = NULL;
    c->pending++;
    *(s->tail ? &s->tail->next : &s->head) = late;
    s->tail = late;
    return true;
}

static struct bucket *bucket_of(struct stub *s, const char *path, bool create)
{
    size_t len = strcspn(path, "?/");
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)path[i]) * 1099511628211u;
    for (size_t i = 0; i < BUCKETS_MAX; i++) {
        struct bucket *b = &s->buckets[(hash + i) & (BUCKETS_MAX - 1)];
        if (!b->name && !create)
            return NULL;
        if (!b->name)
            b->name = strndup(path, len);
        if (b->name && strlen(b->name) == len && memcmp(b->name, path, len) == 0)
            return b;
    }
    return NULL;
}

static void forget(struct stub *s)
{
    for (size_t i = 0; i < BUCKETS_MAX; i++) {
        free(s->buckets[i].name);
        free(s->buckets[i].body);
        s->buckets[i] = (struct bucket){0};
    }
    s->gets = s->puts = s->sts = s->lists = s->locations = s->others = s->connections = 0;
    s->first_ns = s->last_ns = 0;
}

static bool answer_control(struct stub *s, struct connection *c, const char *path)
{
    char text[512];
    if (strncmp(path, "/__reset", 8) == 0)
        forget(s);
    int n = snprintf(text, sizeof text,
                     "{\"gets\": %ld, \"puts\": %ld, \"sts\": %ld, \"lists\": %ld, "
                     "\"locations\": %ld, \"others\": %ld, \"connections\": %ld, "
                     "\"first_ns\": %lld, \"last_ns\": %lld}\n",
                     s->gets, s->puts, s->sts, s->lists, s->locations, s->others, s->connections,
                     (long long)s->first_ns, (long long)s->last_ns);
    return answer(s, c, "200 OK", text, (size_t)n, true);
}

static bool answer_tagging(struct stub *s, struct connection *c, const char *path, bool put,
                           const char *body, size_t len)
{
    if (put) {
        struct bucket *b = bucket_of(s, path + 1, true);
        s->puts++;
        if (b) {
            free(b->body);
            b->body = malloc(len + 1);
            b->len = len;
            if (b->body)
                memcpy(b->body, body, len);
        }
        return answer(s, c, "204 No Content", "", 0, false);
    }
    struct bucket *b = bucket_of(s, path + 1, false);
    s->gets++;
    if (b && b->body)
        return answer(s, c, "200 OK", b->body, b->len, false);
    if (strncmp(path, "/ok", 3) == 0)
        return answer(s, c, "200 OK", with_tag, sizeof with_tag - 1, false);
    return answer(s, c, "200 OK", without_tag, sizeof without_tag - 1, false);
}

static bool answer_list(struct stub *s, struct connection *c)
{
    size_t size = 512 + (size_t)s->bucket_count * 100, len;
    char *text = malloc(size);
    if (!text)
        return false;
    len = (size_t)snprintf(text, size,
                           XML "<ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/"
                               "2006-03-01/\"><Owner><ID>x</ID></Owner><Buckets>");
    for (long i = 0; i < s->bucket_count; i++)
        len += (size_t)snprintf(text + len, size - len,
                                "<Bucket><Name>ok-%05ld</Name><CreationDate>2024-11-24T00:00:00Z"
                                "</CreationDate></Bucket>",
                                i);
    len += (size_t)snprintf(text + len, size - len, "</Buckets></ListAllMyBucketsResult>");
    s->lists++;
    bool ok = answer(s, c, "200 OK", text, len, false);
    free(text);
    return ok;
}

/* One whole request; `head` ends in a zero, `body` behind it. */
static bool handle(struct stub *s, struct connection *c, char *head, const char *body, size_t len)
{
    char *path = strchr(head, ' ');
    char *end = path ? strchr(path + 1, ' ') : NULL;
    if (!end)
        return false;
    *end = 0;
    path++;
    if (strncmp(path, "/__", 3) == 0)
        return answer_control(s, c, path);
    s->last_ns = now_ns();
    s->first_ns = s->first_ns ? s->first_ns : s->last_ns;
    if (strstr(path, "?tagging"))
        return answer_tagging(s, c, path, strncmp(head, "PUT", 3) == 0, body, len);
    if (strncmp(head, "POST", 4) == 0) {
        s->sts++;
        return answer(s, c, "200 OK", identity, sizeof identity - 1, false);
    }
    if (strncmp(head, "GET", 3) == 0 && (path[1] == 0 || path[1] == '?'))
        return answer_list(s, c);
    if (strstr(path, "?location")) {
        s->locations++;
        return answer(s, c, "200 OK", location, sizeof location - 1, false);
    }
    s->others++;
    return answer(s, c, "404 Not Found", not_found, sizeof not_found - 1, false);
}

/* All whole requests that have come in; false: the connection is over. */
static bool serve(struct stub *s, struct connection *c)
{
    for (;;) {
        char *end = memmem(c->in, c->len, "\r\n\r\n", 4);
        if (!end)
            return c->len < sizeof c->in - 1;
        size_t head = (size_t)(end - c->in) + 4, body = 0;
        *end = 0;
        char *length = strcasestr(c->in, "\ncontent-length:");
        bool expects = strcasestr(c->in, "100-continue") != NULL;
        if (length)
            body = strtoul(length + 16, NULL, 10);
        if (head + body > sizeof c->in - 1)
            return false;
        if (c->len < head + body) {
            *end = '\r';
            return !(expects && c->len == head) ||
                   send_all(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        }
        if (!handle(s, c, c->in, c->in + head, body))
            return false;
        memmove(c->in, c->in + head + body, c->len - head - body);
        c->len -= head + body;
        c->in[c->len] = 0;
    }
}

static void accept_one(struct stub *s)
{
    int one = 1, fd = accept(s->listener, NULL, NULL);
    struct connection *c = fd >= 0 ? malloc(sizeof *c) : NULL;
    if (!c)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->fd = fd;
    c->len = 0;
    c->pending = 0;
    s->connections++;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void close_one(struct connection *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    if (c->pending == 0)
        free(c);
}

static void receive(struct stub *s, struct connection *c)
{
    ssize_t k = recv(c->fd, c->in + c->len, sizeof c->in - 1 - c->len, 0);
    if (k > 0) {
        c->len += (size_t)k;
        c->in[c->len] = 0;
    }
    if (k <= 0 || !serve(s, c))
        close_one(c);
}

/* Sends what is due; the milliseconds until the next, -1 for none. */
static int flush_late(struct stub *s)
{
    while (s->head && s->head->due_ns <= now_ns()) {
        struct late *late = s->head;
        s->head = late->next;
        s->tail = s->head ? s->tail : NULL;
        late->to->pending--;
        if (late->to->fd < 0)
            close_one(late->to);
        else
            send_all(late->to->fd, late->bytes, late->len);
        free(late);
    }
    if (!s->head)
        return -1;
    int64_t left = s->head->due_ns - now_ns();
    return left > 0 ? (int)(left / 1000000) : 0; // the last one is spun away, for exactness
}

int main(int argc, char **argv)
{
    struct stub s = {.buckets = calloc(BUCKETS_MAX, sizeof(struct bucket))};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "-w") == 0)
            s.delay_ns = (int64_t)(atof(argv[i + 1]) * 1e6);
        else if (strcmp(argv[i], "-n") == 0)
            s.bucket_count = atol(argv[i + 1]);
    }
    s.listener = socket(AF_INET, SOCK_STREAM, 0);
    s.epoll = epoll_create1(0);
    setsockopt(s.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (!s.buckets || bind(s.listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(s.listener, 512) != 0) {
        perror("stub");
        return 1;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(s.epoll, EPOLL_CTL_ADD, s.listener, &event);
    for (;;) {
        struct epoll_event events[64];
        int n = epoll_wait(s.epoll, events, 64, flush_late(&s));
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                receive(&s, events[i].data.ptr);
            else
                accept_one(&s);
        }
    }
}
