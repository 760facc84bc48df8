// The scripted origin of Tests/bench: one thread, one epoll, and an answer for each path.
//
//   origin --streams N --interval-us T     prints "port N" and serves 127.0.0.1 until its parent ends
//
//   /idle       one event, then silence
//   /silent     none
//   /hundred    a hundred events, then silence
//   /fan        an event of 200 bytes every T for each stream; the N streams are spread evenly over T
//   /broadcast  the same, to all streams in the same instant
//   /heartbeat  a comment every T for each stream, spread as in /fan
//   /burst      events of 1 KiB as fast as they are taken
//   /leave      three events, then silence: the client is the one that leaves
//   /keep       three events and the end of the response
//   /small      200 bytes of JSON        /large  1 MiB
//
// An event holds '@', the moment it was sent (CLOCK_MONOTONIC, 16 hexadecimal digits), its number in the stream (8 digits) and,
// as its last visible byte, '~'. Neither byte occurs anywhere else in a response. Each event is a chunk of its own.
//
// Bytes go out by write, which the kernel counts in /proc/PID/io, unlike send.
//
// load.c measures, bench.py decides what is started when.
// Invariant: an event is written whole or not at all; a peer that takes half of one ends the whole run with a message.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENT = 200, BURST_EVENT = 1024, BURST_EVENTS = 64, SMALL = 200, LARGE = 1 << 20, HEAD = 4096, TURN = 256, HUNDRED = 100 };
enum kind { IDLE, SILENT, HUNDRED_EVENTS, FAN, BROADCAST, HEARTBEAT, BURST, LEAVE, KEEP, SMALL_BODY, LARGE_BODY, KINDS };

static const char *const paths[KINDS] = {"/idle ", "/silent ", "/hundred ", "/fan ", "/broadcast ", "/heartbeat ", "/burst ", "/leave ", "/keep ", "/small ", "/large "};

struct connection {
    int fd;
    enum kind kind;
    bool waits;          // for room: what is left of the answer goes out at EPOLLOUT
    uint32_t sequence;   // of the next event
    int slot;            // in `paced`, or -1
    size_t sent;         // of a burst's ring or of a large body
    size_t head_length;
    char head[HEAD];
};

static int poller;
static long streams = 1;
static uint64_t interval_ns = 100000000;
static struct connection **paced;   // the streams that get events by the clock, in the order in which they came
static long paced_count;
static uint64_t pace_begin, pace_next;

static char *ring;                  // BURST_EVENTS chunks, sent over and over
static size_t ring_length;
static char *large;
static size_t large_length;

static const char stream_head[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";

static void die(const char *what) {
    fprintf(stderr, "origin: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void put_hexadecimal(char *to, uint64_t value, int digits) {
    for (int digit = digits - 1; digit >= 0; digit--, value >>= 4) to[digit] = "0123456789abcdef"[value & 15];
}

// Writes an event of `length` bytes as one chunk and returns the chunk's length.
static size_t put_event(char *to, size_t length, uint64_t stamp, uint32_t sequence) {
    size_t framing = (size_t)sprintf(to, "%zx\r\n", length);
    char *event = to + framing;
    memset(event, '.', length);
    memcpy(event, "data: @", 7);
    put_hexadecimal(event + 7, stamp, 16);
    put_hexadecimal(event + 23, sequence, 8);
    memcpy(event + length - 3, "~\n\n", 3);
    memcpy(event + length, "\r\n", 2);
    return framing + length + 2;
}

static void prepare_bodies(void) {
    ring = malloc(BURST_EVENTS * (BURST_EVENT + 16));
    large = malloc(LARGE + 256);
    if (!ring || !large) die("malloc");
    for (uint32_t number = 0; number < BURST_EVENTS; number++) ring_length += put_event(ring + ring_length, BURST_EVENT, 0, number);
    large_length = (size_t)sprintf(large, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", LARGE);
    memset(large + large_length, 'x', LARGE);
    large_length += LARGE;
}

static void leave(struct connection *connection) {
    if (connection->slot >= 0) paced[connection->slot] = NULL;
    close(connection->fd);
    free(connection);
}

static bool send_whole(struct connection *connection, const char *bytes, size_t length) {
    ssize_t sent = write(connection->fd, bytes, length);
    if (sent == (ssize_t)length) return true;
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return false;
    if (sent < 0) die("the proxy does not take an event");
    fprintf(stderr, "origin: the proxy took %zd of %zu bytes of an event\n", sent, length);
    exit(1);
}

static void watch(struct connection *connection, bool writable) {
    if (connection->waits == writable) return;
    connection->waits = writable;
    struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0), .data.ptr = connection};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, connection->fd, &event)) die("epoll_ctl");
}

// Sends as much of a burst or a large body as the socket takes; a few pieces at a time, so that all streams get a turn.
static bool send_on(struct connection *connection) {
    const bool burst = connection->kind == BURST;
    const char *bytes = burst ? ring : large;
    const size_t length = burst ? ring_length : large_length;
    for (int piece = 0; piece < 4; piece++) {
        ssize_t sent = write(connection->fd, bytes + connection->sent, length - connection->sent);
        if (sent < 0 && errno == EAGAIN) break;
        if (sent < 0) return false;
        connection->sent += (size_t)sent;
        if (connection->sent == length) {
            connection->sent = 0;
            if (!burst) {
                watch(connection, false);
                return true;
            }
        }
    }
    watch(connection, true);
    return true;
}

static void pace(struct connection *connection) {
    if (paced_count == streams) return;   // bench.py's own check whether the proxy answers may be one stream too many
    connection->slot = (int)paced_count;
    paced[paced_count++] = connection;
    if (!pace_begin) pace_begin = now_ns() + interval_ns;
}

static bool answer(struct connection *connection) {
    char text[HUNDRED * (EVENT + 16) + 256];
    size_t length = 0;
    if (connection->kind == LARGE_BODY) return send_on(connection);
    if (connection->kind == SMALL_BODY) {
        length = (size_t)sprintf(text, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", SMALL);
        memset(text + length, ' ', SMALL);
        memcpy(text + length, "{\"answer\":42}", 13);
        return send_whole(connection, text, length + SMALL);
    }
    memcpy(text, stream_head, sizeof stream_head - 1);
    length = sizeof stream_head - 1;
    connection->sequence = 0;
    if (connection->kind == BURST) return send_whole(connection, text, length) && send_on(connection);
    int events = 1;
    if (connection->kind == LEAVE || connection->kind == KEEP) events = 3;
    if (connection->kind == SILENT) events = 0;
    if (connection->kind == HUNDRED_EVENTS) events = HUNDRED;
    for (int event = 0; event < events; event++) length += put_event(text + length, EVENT, now_ns(), connection->sequence++);
    if (connection->kind == KEEP) {
        memcpy(text + length, "0\r\n\r\n", 5);
        length += 5;
    }
    if (connection->kind >= FAN && connection->kind <= HEARTBEAT) pace(connection);
    return send_whole(connection, text, length);
}

// One request at a time: no client here pipelines or sends a body.
static bool receive(struct connection *connection) {
    ssize_t count = recv(connection->fd, connection->head + connection->head_length, HEAD - 1 - connection->head_length, 0);
    if (count < 0 && errno == EAGAIN) return true;
    if (count <= 0) return false;
    connection->head_length += (size_t)count;
    connection->head[connection->head_length] = 0;
    if (!strstr(connection->head, "\r\n\r\n")) return connection->head_length < HEAD - 1;
    connection->head_length = 0;
    const char *path = strchr(connection->head, ' ');
    for (enum kind kind = 0; path && kind < KINDS; kind++) {
        if (strncmp(path + 1, paths[kind], strlen(paths[kind]))) continue;
        connection->kind = kind;
        return answer(connection);
    }
    fprintf(stderr, "origin: an unknown request: %.80s\n", connection->head);
    exit(1);
}

static void accept_all(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED)) return;
        if (fd < 0) die("accept");
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *connection = calloc(1, sizeof *connection);
        if (!connection) die("calloc");
        connection->fd = fd;
        connection->slot = -1;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
    }
}

static void send_paced(struct connection *connection, uint64_t stamp) {
    static char event[EVENT + 16];
    static size_t framing, length;
    if (!connection) return;
    if (connection->kind == HEARTBEAT) {
        send_whole(connection, "3\r\n:\n\n\r\n", 8);
        return;
    }
    if (!length) {
        length = put_event(event, EVENT, 0, 0);
        framing = length - EVENT - 2;
    }
    put_hexadecimal(event + framing + 7, stamp, 16);
    put_hexadecimal(event + framing + 23, connection->sequence++, 8);
    send_whole(connection, event, length);
}

// Sends what is due, and returns the time until the next event.
static int64_t send_due(void) {
    if (!pace_begin) return -1;
    for (;;) {
        const bool together = paced[0] && paced[0]->kind == BROADCAST;
        const uint64_t due = pace_begin + (together ? pace_next * interval_ns : pace_next * interval_ns / (uint64_t)streams);
        const uint64_t now = now_ns();
        if (now < due) return (int64_t)(due - now);
        if (together) {
            for (long slot = 0; slot < paced_count; slot++) send_paced(paced[slot], now);
        } else {
            send_paced(paced[pace_next % (uint64_t)streams], now);
        }
        pace_next++;
    }
}

int main(int count, char **arguments) {
    for (int index = 1; index + 1 < count; index += 2) {
        if (!strcmp(arguments[index], "--streams")) streams = atol(arguments[index + 1]);
        else if (!strcmp(arguments[index], "--interval-us")) interval_ns = strtoull(arguments[index + 1], NULL, 10) * 1000;
    }
    // Events must leave when they are due, without the kernel's usual 50 µs of slack.
    prctl(PR_SET_TIMERSLACK, 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    prepare_bodies();
    paced = calloc((size_t)streams, sizeof *paced);
    poller = epoll_create1(EPOLL_CLOEXEC);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (!paced || poller < 0 || listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 16384)
        || getsockname(listener, (struct sockaddr *)&address, &size)) die("listen");
    struct epoll_event listening = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &listening)) die("epoll_ctl");
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    struct epoll_event events[TURN];
    for (;;) {
        const int64_t wait = send_due();
        struct timespec timeout = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
        int ready = epoll_pwait2(poller, events, TURN, wait < 0 ? NULL : &timeout, NULL);
        if (ready < 0 && errno != EINTR) die("epoll_pwait2");
        for (int index = 0; index < ready; index++) {
            struct connection *connection = events[index].data.ptr;
            if (!connection) {
                accept_all(listener);
                continue;
            }
            bool lives = true;
            if (events[index].events & EPOLLOUT) lives = send_on(connection);
            if (lives && events[index].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) lives = receive(connection);
            if (!lives) leave(connection);
        }
    }
}
