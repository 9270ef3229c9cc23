/* The load side of the benchmarks: thousands of WebSocket clients in one thread, cheap enough never to be the limit.
 *
 *   load PLAN PREFIX [ACK READY]
 *
 * PLAN describes the sockets, one record each: "PORT ROLE PEER LENGTH\n" and then LENGTH bytes, the complete request of
 * the handshake. ROLE is "w" (a writer) or "r" (a reader); PEER is the number of the writer whose messages a reader
 * measures, or -1. A record with PORT 0 has the message of the writers after it: one whole masked frame; a record with
 * PORT -1 has the frame that each socket after it sends once it is connected (Socket.IO's "40").
 * PREFIX is the start of a message's payload; other frames (greetings, presence) are not counted. Empty: all count.
 *
 * With ACK and READY the protocol is Centrifugo's: a frame has one or more lines, each with a message, a reply, or the
 * ping "{}", which is sent back. A socket is open when a line starts with READY. A line that starts with ACK acknowledges
 * a writer's message; without ACK its own copy does. At most 24 bytes of each are compared.
 *
 * Commands on stdin, one per line, each with one line of response. NS is a duration, BUSY the time with work so far,
 * both in ns; polling without work does not count.
 *   open CONCURRENCY TIMEOUT_MS   opened OK FAILED NS BUSY
 *                              a refused socket retries half a second later until the timeout (0: no retries);
 *                              FAILED counts every refusal
 *   until FRAMES TIMEOUT_MS    frames FRAMES BYTES CLOSED NS BUSY
 *   caught COUNT TIMEOUT_MS    caught COUNT FRAMES NS BUSY
 *   send WRITER COUNT          sent COUNT          (COUNT frames in one write)
 *   write MS WRITERS RATE      wrote ACKED DELIVERED ERRORS NS BUSY ack P50 P99 MAX delivery P50 P99 MAX (µs)
 *                              RATE 0: each writer sends after its acknowledgement; else messages per second in total
 *   shut                       shut COUNT          (close every socket; they may be opened again)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PEEK = 24, RING = 256, BUFFER = 1 << 18 };
/* While messages come, the load polls: if it slept, each write of the server would pay for its wake-up. When none has come
 * for so long, it sleeps: the databases, which may not have stored the whole burst yet, share its core. */
enum { LULL_NS = 200000 };
enum state { IDLE, CONNECTING, SHAKING, GREETING, OPEN, CLOSED };

struct client {
    int fd, port, peer;
    enum state state;
    char is_writer, is_caught_up, is_refused;
    const char *request, *hello, *message;
    size_t request_length, hello_length, message_length;
    char head[14], peek[PEEK], tail[4];
    int head_have, head_need, peek_have;
    unsigned char opcode;
    uint64_t left;
    uint64_t sent, acked, heard;
    uint64_t *sent_at; /* of a writer: the send times of its last RING messages */
};

static struct client *clients;
static int count, ring, opened, failed, closed_count, in_flight, next_to_open, refused;
static const char *message, *hello; /* of the next sockets of the plan */
static size_t message_length, hello_length;
static const char *prefix, *ack, *ready;
static uint64_t frames, bytes, caught, acked, delivered, errors, busy_ns;
static char buffer[BUFFER];

static uint64_t deadline;
static int writers, is_closed_loop, is_writing;
static uint32_t *ack_us, *delivery_us;
static size_t acks, deliveries, room;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR)
                continue; /* a server that does not read is measured all the same */
            return;
        }
        data += n;
        length -= (size_t)n;
    }
}

static void watch(struct client *c, uint32_t events, int operation)
{
    struct epoll_event e = {.events = events, .data.u32 = (uint32_t)(c - clients)};
    if (epoll_ctl(ring, operation, c->fd, &e) < 0)
        die("epoll_ctl");
}

static void end(struct client *c)
{
    if (c->state == CONNECTING || c->state == SHAKING || c->state == GREETING) {
        failed++;
        in_flight--;
        refused++; /* until it retries */
        c->is_refused = 1;
    } else if (c->state == OPEN) {
        closed_count++;
    }
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->state = CLOSED;
}

static void begin(struct client *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)c->port)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    int one = 1, number = (int)(c - clients);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    /* An address has some 28,000 ports, and with many of them in use the kernel searches a free one for a millisecond.
     * So each process has addresses of its own in 127.0.0.0/8, each for 2,000 sockets. */
    from.sin_addr.s_addr = htonl(0x7f000001u + ((uint32_t)getpid() % 0xffffu << 8) + (uint32_t)(number / 2000 % 254));
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &one, sizeof one);
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0)
        die("bind");
    c->state = CONNECTING;
    c->head_have = c->peek_have = 0;
    c->left = 0;
    memset(c->tail, 0, sizeof c->tail);
    refused -= c->is_refused;
    c->is_refused = 0;
    in_flight++;
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) {
        end(c);
        return;
    }
    watch(c, EPOLLOUT, EPOLL_CTL_ADD);
}

static void send_message(struct client *c, uint64_t at)
{
    c->sent_at[c->sent++ % RING] = at;
    write_all(c->fd, c->message, c->message_length);
}

static void keep(uint32_t *list, size_t *have, uint64_t us)
{
    if (*have < room)
        list[(*have)++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static void on_ack(struct client *c, uint64_t at)
{
    keep(ack_us, &acks, (at - c->sent_at[c->acked++ % RING]) / 1000);
    acked++;
    if (is_writing && is_closed_loop && at < deadline)
        send_message(c, at);
}

static void on_message(struct client *c, uint64_t at)
{
    if (c->is_writer && c->acked < c->sent && ack == NULL) {
        on_ack(c, at);
    } else if (!c->is_writer && c->peer >= 0) {
        struct client *writer = &clients[c->peer];
        if (c->heard < writer->sent) {
            keep(delivery_us, &deliveries, (at - writer->sent_at[c->heard++ % RING]) / 1000);
            delivered++;
        }
    }
}

static int starts_with(const struct client *c, const char *text)
{
    size_t length = strlen(text) < PEEK ? strlen(text) : PEEK;
    return (size_t)c->peek_have >= length && memcmp(c->peek, text, length) == 0;
}

static void on_frame(struct client *c, uint64_t at)
{
    static const char caught_up[] = "{\"type\":\"caught_up\"", error[] = "{\"type\":\"error\"";
    if (c->opcode == 9) {
        char pong[6 + PEEK] = {(char)0x8a, (char)(0x80 | c->peek_have), 0, 0, 0, 0}; /* masked with zeros */
        memcpy(pong + 6, c->peek, (size_t)c->peek_have);
        write_all(c->fd, pong, 6 + (size_t)c->peek_have);
        return;
    }
    if (c->opcode != 1 && c->opcode != 2)
        return;
    if (starts_with(c, prefix)) {
        frames++;
        on_message(c, at);
    } else if (starts_with(c, caught_up)) {
        caught += !c->is_caught_up;
        c->is_caught_up = 1;
    } else if (starts_with(c, error)) {
        errors++;
        if (c->is_writer && c->acked < c->sent)
            c->acked++;
    }
}

static void on_line(struct client *c, uint64_t at)
{
    static const char pong[] = {(char)0x81, (char)0x82, 0, 0, 0, 0, '{', '}'}; /* masked with zeros */
    if (c->opcode == 1 && c->peek_have == 2 && starts_with(c, "{}")) {
        write_all(c->fd, pong, sizeof pong);
    } else if (c->opcode == 1 && memmem(c->peek, (size_t)c->peek_have, "\"error\"", 7) != NULL) {
        errors++;
        if (c->state == GREETING)
            end(c);
        else if (c->acked < c->sent)
            c->acked++;
    } else if (c->opcode == 1 && c->state == GREETING) {
        if (starts_with(c, ready)) {
            c->state = OPEN;
            opened++;
            in_flight--;
        }
    } else if (c->opcode == 1 && starts_with(c, ack)) {
        if (c->acked < c->sent)
            on_ack(c, at);
    } else {
        on_frame(c, at);
    }
    c->peek_have = 0;
}

/* Payload of a frame of lines; the last line ends with the frame. */
static void take_lines(struct client *c, const char *p, size_t n, uint64_t at)
{
    while (n > 0 && c->state != CLOSED) {
        const char *stop = memchr(p, '\n', n);
        size_t part = stop == NULL ? n : (size_t)(stop - p);
        size_t peek = part < (size_t)(PEEK - c->peek_have) ? part : (size_t)(PEEK - c->peek_have);
        memcpy(c->peek + c->peek_have, p, peek);
        c->peek_have += (int)peek;
        if (stop != NULL) {
            on_line(c, at);
            part++;
        }
        p += part;
        n -= part;
    }
}

static void take(struct client *c, const char *p, size_t n, uint64_t at)
{
    bytes += n;
    while (n > 0) {
        if (c->left == 0) {
            while (n > 0 && c->head_have < c->head_need) {
                c->head[c->head_have++] = *p++;
                n--;
                if (c->head_have == 2) {
                    int length = c->head[1] & 127;
                    c->head_need = length == 126 ? 4 : length == 127 ? 10 : 2;
                }
            }
            if (c->head_have < c->head_need)
                return;
            uint64_t length = (uint64_t)(c->head[1] & 127);
            if (length >= 126) {
                length = 0;
                for (int i = 2; i < c->head_need; i++)
                    length = length << 8 | (unsigned char)c->head[i];
            }
            c->opcode = (unsigned char)c->head[0] & 15;
            c->left = length;
            c->head_have = c->peek_have = 0;
            c->head_need = 2;
            if (length == 0)
                on_frame(c, at);
            continue;
        }
        size_t part = n < c->left ? n : (size_t)c->left;
        if (ready != NULL) {
            take_lines(c, p, part, at);
            p += part;
            n -= part;
            c->left -= part;
            if (c->left == 0 && c->state != CLOSED && c->peek_have > 0)
                on_line(c, at);
            if (c->state == CLOSED)
                return;
            continue;
        }
        size_t peek = part < (size_t)(PEEK - c->peek_have) ? part : (size_t)(PEEK - c->peek_have);
        memcpy(c->peek + c->peek_have, p, peek);
        c->peek_have += (int)peek;
        p += part;
        n -= part;
        c->left -= part;
        if (c->left == 0)
            on_frame(c, at);
    }
}

static void shake(struct client *c, ssize_t n, uint64_t at)
{
    /* the end of the head may span reads; its first bytes are the status line */
    size_t start = 0;
    if (c->head_have < 12) {
        size_t part = (size_t)(12 - c->head_have) < (size_t)n ? (size_t)(12 - c->head_have) : (size_t)n;
        memcpy(c->head + c->head_have, buffer, part);
        c->head_have += (int)part;
    }
    for (; start < (size_t)n; start++) {
        memmove(c->tail, c->tail + 1, 3);
        c->tail[3] = buffer[start];
        if (memcmp(c->tail, "\r\n\r\n", 4) == 0) {
            if (memcmp(c->head, "HTTP/1.1 101", 12) != 0) {
                end(c);
                return;
            }
            c->state = ready == NULL ? OPEN : GREETING;
            c->head_have = 0;
            c->head_need = 2;
            if (c->state == OPEN) {
                opened++;
                in_flight--;
            }
            if (c->hello_length > 0)
                write_all(c->fd, c->hello, c->hello_length);
            take(c, buffer + start + 1, (size_t)n - start - 1, at);
            return;
        }
    }
}

static void on_ready(struct client *c, uint32_t events)
{
    if (c->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            end(c);
            return;
        }
        c->state = SHAKING;
        write_all(c->fd, c->request, c->request_length);
        watch(c, EPOLLIN, EPOLL_CTL_MOD);
        return;
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    for (;;) {
        ssize_t n = read(c->fd, buffer, BUFFER);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            end(c);
            return;
        }
        uint64_t at = now_ns();
        if (c->state == SHAKING)
            shake(c, n, at);
        else
            take(c, buffer, (size_t)n, at);
        if (c->state == CLOSED || n < BUFFER)
            return;
    }
}

static void turn(int timeout_ms)
{
    static struct epoll_event events[512];
    int n = epoll_wait(ring, events, 512, timeout_ms);
    uint64_t start = now_ns();
    for (int i = 0; i < n; i++) {
        struct client *c = &clients[events[i].data.u32];
        if (c->state != CLOSED)
            on_ready(c, events[i].events);
    }
    if (n > 0)
        busy_ns += now_ns() - start;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_spread(const char *name, uint32_t *list, size_t n)
{
    qsort(list, n, sizeof *list, compare);
    printf(" %s %u %u %u", name, n ? list[n / 2] : 0, n ? list[n - 1 - n / 100] : 0, n ? list[n - 1] : 0);
}

static void open_all(int concurrency, long timeout_ms)
{
    uint64_t start = now_ns(), until = start + (uint64_t)timeout_ms * 1000000u, next_try = 0;
    while (next_to_open < count || in_flight > 0 || (refused > 0 && now_ns() < until)) {
        if (refused > 0 && next_try == 0)
            next_try = now_ns() + 500000000u;
        if (next_try != 0 && next_try <= now_ns() && now_ns() < until) {
            next_try = 0;
            for (int i = 0; i < next_to_open && in_flight < concurrency; i++)
                if (clients[i].is_refused)
                    begin(&clients[i]);
        }
        while (next_to_open < count && in_flight < concurrency)
            begin(&clients[next_to_open++]);
        turn(100);
    }
    printf("opened %d %d %llu %llu\n", opened, failed, (unsigned long long)(now_ns() - start), (unsigned long long)busy_ns);
}

static void write_for(long ms, int wanted, long rate)
{
    uint64_t start = now_ns(), delivered_before = delivered, acked_before = acked, errors_before = errors;
    int next = 0, have = 0;
    static int ids[1 << 16];
    for (int i = 0; i < count && have < wanted; i++)
        if (clients[i].is_writer && clients[i].state == OPEN)
            ids[have++] = i;
    writers = have;
    acks = deliveries = 0;
    deadline = start + (uint64_t)ms * 1000000u;
    is_writing = 1;
    is_closed_loop = rate == 0;
    if (is_closed_loop) {
        for (int i = 0; i < have; i++)
            send_message(&clients[ids[i]], now_ns());
        while (now_ns() < deadline)
            turn(1);
    } else {
        uint64_t due = 0;
        for (uint64_t at = start; at < deadline && have > 0; at = now_ns()) {
            uint64_t should = (at - start) * (uint64_t)rate / 1000000000u;
            while (due < should) { /* open loop: late responses do not slow down the senders */
                struct client *c = &clients[ids[next++ % have]];
                if (c->sent - c->acked < RING)
                    send_message(c, start + (due + 1) * 1000000000u / (uint64_t)rate); /* the first after one interval */
                due++;
            }
            busy_ns += now_ns() - at;
            turn(1); /* not 0: the databases share this core */
        }
    }
    uint64_t elapsed = now_ns() - start;
    is_writing = 0;
    for (uint64_t until = now_ns() + 3000000000u; now_ns() < until;) {
        uint64_t open = 0;
        for (int i = 0; i < have; i++)
            open += clients[ids[i]].sent - clients[ids[i]].acked;
        if (open == 0)
            break;
        turn(10);
    }
    for (int i = 0; i < 20; i++)
        turn(5);
    printf("wrote %llu %llu %llu %llu %llu", (unsigned long long)(acked - acked_before),
           (unsigned long long)(delivered - delivered_before), (unsigned long long)(errors - errors_before),
           (unsigned long long)elapsed, (unsigned long long)busy_ns);
    print_spread("ack", ack_us, acks);
    print_spread("delivery", delivery_us, deliveries);
    printf("\n");
}

static void obey(char *line)
{
    unsigned long long target;
    long a, b, c;
    if (sscanf(line, "open %ld %ld", &a, &b) == 2) {
        open_all((int)a, b);
    } else if (sscanf(line, "until %llu %ld", &target, &a) == 2) {
        uint64_t heard_at = 0;
        for (uint64_t end_at = now_ns() + (uint64_t)a * 1000000u; frames < target && now_ns() < end_at;) {
            uint64_t before = frames;
            turn(now_ns() < heard_at + LULL_NS ? 0 : 10);
            if (frames > before)
                heard_at = now_ns();
        }
        printf("frames %llu %llu %d %llu %llu\n", (unsigned long long)frames, (unsigned long long)bytes, closed_count,
               (unsigned long long)now_ns(), (unsigned long long)busy_ns);
    } else if (sscanf(line, "caught %llu %ld", &target, &a) == 2) {
        for (uint64_t end_at = now_ns() + (uint64_t)a * 1000000u; caught < target && now_ns() < end_at;)
            turn(10);
        printf("caught %llu %llu %llu %llu\n", (unsigned long long)caught, (unsigned long long)frames,
               (unsigned long long)now_ns(), (unsigned long long)busy_ns);
    } else if (sscanf(line, "send %ld %ld", &a, &b) == 2) {
        static char many[1 << 20];
        size_t length = 0;
        const struct client *writer = &clients[a];
        for (long i = 0; i < b && length + writer->message_length <= sizeof many; i++, length += writer->message_length)
            memcpy(many + length, writer->message, writer->message_length);
        for (long i = 0; i < b; i++)
            clients[a].sent_at[clients[a].sent++ % RING] = now_ns();
        write_all(clients[a].fd, many, length);
        printf("sent %ld\n", b);
    } else if (sscanf(line, "write %ld %ld %ld", &a, &b, &c) == 3) {
        write_for(a, (int)b, c);
    } else if (strncmp(line, "shut", 4) == 0) {
        for (int i = 0; i < count; i++) {
            if (clients[i].state != CLOSED)
                end(&clients[i]);
            clients[i].is_refused = 0;
        }
        next_to_open = opened = failed = refused = 0; /* they may be opened again */
        printf("shut %d\n", count);
    } else {
        printf("unknown\n");
    }
}

static void read_plan(const char *path)
{
    FILE *plan = fopen(path, "rb");
    int port, peer, size = 0;
    char role;
    size_t length;
    if (plan == NULL)
        die(path);
    while (fscanf(plan, "%d %c %d %zu", &port, &role, &peer, &length) == 4) {
        char *text = malloc(length + 1);
        fgetc(plan);
        if (text == NULL || fread(text, 1, length, plan) != length)
            die("plan");
        if (port == 0) {
            message = text;
            message_length = length;
        } else if (port < 0) {
            hello = text;
            hello_length = length;
        } else {
            if (count == size)
                clients = realloc(clients, (size_t)(size = size ? size * 2 : 1024) * sizeof *clients);
            struct client *c = &clients[count++];
            memset(c, 0, sizeof *c);
            *c = (struct client){.fd = -1, .port = port, .peer = peer, .is_writer = role == 'w', .request = text, .request_length = length,
                                 .hello = hello, .hello_length = hello_length, .message = message, .message_length = message_length};
            if (c->is_writer)
                c->sent_at = calloc(RING, sizeof *c->sent_at);
        }
    }
    fclose(plan);
}

int main(int argc, char **argv)
{
    struct rlimit files;
    char line[256];
    size_t have = 0;
    if (argc != 3 && argc != 5) {
        fprintf(stderr, "load PLAN PREFIX [ACK READY]\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    prefix = argv[2];
    if (argc == 5) {
        ack = argv[3];
        ready = argv[4];
    }
    room = 4u << 20;
    ack_us = malloc(room * sizeof *ack_us);
    delivery_us = malloc(room * sizeof *delivery_us);
    ring = epoll_create1(EPOLL_CLOEXEC);
    read_plan(argv[1]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    fcntl(0, F_SETFL, O_NONBLOCK);
    for (;;) { /* sockets are read between commands too, so that none becomes a slow consumer */
        ssize_t n = read(0, line + have, sizeof line - 1 - have);
        if (n == 0)
            return 0;
        if (n > 0)
            have += (size_t)n;
        line[have] = 0;
        char *stop = strchr(line, '\n');
        if (stop != NULL) {
            *stop = 0;
            obey(line);
            have -= (size_t)(stop + 1 - line);
            memmove(line, stop + 1, have);
            continue;
        }
        turn(1);
    }
}
