// The floor of Tests/bench: the smallest honest byte pump over epoll. It parses nothing, counts nothing and gives every
// client its own connection to the origin. It does stop for a peer that does not take its bytes.
//
//   floor LISTENING-PORT ORIGIN-PORT [HEARTBEAT-MS]
//
// With HEARTBEAT-MS it writes a comment to each client that has received something, at that interval, whatever else passes: the least
// that a heartbeat costs. (As it knows no events and no chunks, that is right only for streams that are silent.)
//
// It does nothing else that makes a proxy useful. Invariant: bytes arrive in order. When a side takes no bytes, the other side
// is not read: at most one buffer waits.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 65536, TURN = 512 };

// Bytes that a side has not taken.
struct pending {
    size_t length, sent;
    char bytes[];
};

// One client and its connection to the origin. Side 0 is the client, side 1 the origin.
struct pair {
    int fd[2];
    struct pending *pending[2];
    struct pair *next;   // in the queue of heartbeats, or of what is to be freed at the turn's end
    uint64_t due_ms;
    bool closed, queued;
};

static int poller, origin_port;
static uint64_t heartbeat_ms, turn_ms;
static struct pair *beats_first, *beats_last, *graves;
static char buffer[BUFFER];

static void die(const char *what) {
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

// Which side an epoll event concerns is in the lowest bit of its pointer.
static void watch(struct pair *pair, int side, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)(uintptr_t)pair | (uint64_t)side};
    if (epoll_ctl(poller, operation, pair->fd[side], &event)) die("epoll_ctl");
}

// A side is read unless its last bytes still wait for the other side.
static void watch_again(struct pair *pair) {
    for (int side = 0; side < 2; side++) {
        watch(pair, side, EPOLL_CTL_MOD, (pair->pending[1 - side] ? 0 : EPOLLIN) | (pair->pending[side] ? EPOLLOUT : 0));
    }
}

// Both sides end together. The memory lives until the end of the turn, because the turn's events may still point to it.
static void end(struct pair *pair) {
    if (pair->closed) return;
    pair->closed = true;
    close(pair->fd[0]);
    close(pair->fd[1]);
    if (pair->queued) return;   // the queue of heartbeats frees it later
    pair->next = graves;
    graves = pair;
}

static void bury(struct pair *pair) {
    free(pair->pending[0]);
    free(pair->pending[1]);
    free(pair);
}

static void beat(struct pair *pair) {
    pair->due_ms = turn_ms + heartbeat_ms;
    pair->next = NULL;
    pair->queued = true;
    if (beats_last) beats_last->next = pair;
    else beats_first = pair;
    beats_last = pair;
}

// All intervals are the same, so the queue is in the order of time.
static void send_beats(void) {
    while (beats_first && beats_first->due_ms <= turn_ms) {
        struct pair *pair = beats_first;
        beats_first = pair->next;
        if (!beats_first) beats_last = NULL;
        if (pair->closed) {
            bury(pair);
            continue;
        }
        if (!pair->pending[0] && send(pair->fd[0], "3\r\n:\n\n\r\n", 8, MSG_NOSIGNAL) < 0 && errno != EAGAIN) end(pair);
        beat(pair);
    }
}

static void pump(struct pair *pair, int from) {
    const int to = 1 - from;
    ssize_t count = recv(pair->fd[from], buffer, BUFFER, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
        end(pair);
        return;
    }
    ssize_t sent = send(pair->fd[to], buffer, (size_t)count, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        end(pair);
        return;
    }
    if (heartbeat_ms && from == 1 && !pair->queued) beat(pair);
    if (sent == count) return;
    if (sent < 0) sent = 0;
    struct pending *pending = malloc(sizeof *pending + (size_t)(count - sent));
    if (!pending) die("malloc");
    pending->length = (size_t)(count - sent);
    pending->sent = 0;
    memcpy(pending->bytes, buffer + sent, pending->length);
    pair->pending[to] = pending;
    watch_again(pair);
}

static void send_pending(struct pair *pair, int to) {
    struct pending *pending = pair->pending[to];
    ssize_t sent = send(pair->fd[to], pending->bytes + pending->sent, pending->length - pending->sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {
        end(pair);
        return;
    }
    pending->sent += (size_t)sent;
    if (pending->sent < pending->length) return;
    free(pending);
    pair->pending[to] = NULL;
    watch_again(pair);
}

static void accept_all(int listener) {
    const struct sockaddr_in origin = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)origin_port)};
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0 && (errno == EAGAIN || errno == ECONNABORTED)) return;
        if (client < 0) die("accept");
        int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (server < 0) die("socket");
        if (connect(server, (const struct sockaddr *)&origin, sizeof origin) && errno != EINPROGRESS) die("connect");
        int on = 1;
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct pair *pair = calloc(1, sizeof *pair);
        if (!pair) die("calloc");
        pair->fd[0] = client;
        pair->fd[1] = server;
        watch(pair, 0, EPOLL_CTL_ADD, EPOLLIN);
        watch(pair, 1, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void serve(struct epoll_event *event) {
    struct pair *pair = (struct pair *)(uintptr_t)(event->data.u64 & ~(uint64_t)1);
    const int side = (int)(event->data.u64 & 1);
    if (pair->closed) return;
    if (event->events & EPOLLOUT && pair->pending[side]) send_pending(pair, side);
    if (pair->closed) return;
    if (event->events & EPOLLIN) pump(pair, side);
    else if (event->events & (EPOLLHUP | EPOLLERR)) end(pair);
}

int main(int count, char **arguments) {
    if (count < 3) die("usage: floor LISTENING-PORT ORIGIN-PORT [HEARTBEAT-MS]");
    origin_port = atoi(arguments[2]);
    heartbeat_ms = count > 3 ? strtoull(arguments[3], NULL, 10) : 0;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    poller = epoll_create1(EPOLL_CLOEXEC);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)atoi(arguments[1]))};
    if (poller < 0 || listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) die("listen");
    struct epoll_event listening = {.events = EPOLLIN, .data.u64 = 0};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &listening)) die("epoll_ctl");
    struct epoll_event events[TURN];
    for (;;) {
        int timeout = -1;
        if (heartbeat_ms) {
            turn_ms = now_ms();
            send_beats();
            if (beats_first) timeout = (int)(beats_first->due_ms - turn_ms);
        }
        int ready = epoll_wait(poller, events, TURN, timeout);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        if (heartbeat_ms) turn_ms = now_ms();
        for (int index = 0; index < ready; index++) {
            if (events[index].data.u64) serve(&events[index]);
            else accept_all(listener);
        }
        while (graves) {
            struct pair *pair = graves;
            graves = pair->next;
            bury(pair);
        }
    }
}
