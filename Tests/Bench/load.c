// The load generator of Tests/bench: one thread over one epoll. It opens streams and holds them, or makes requests over and over; it checks
// and counts what comes; and it takes the processor time of the processes it watches exactly around its window. It prints one line of JSON.
//
//   load --port P --path /fan --streams N [options]
//     --repeat             a response that ended is followed by the next request; without it, streams are held
//     --leave-after N      leaves after N events and connects anew (with --repeat)
//     --first N            streams that are opened before the memory's base line is taken (held streams only)
//     --warm-ms, --window-ms   how long before and in the window
//     --most N             responses after which the window ends early
//     --heartbeats         counts comments and their intervals
//     --rounds             the events of one moment belong together: how long until the last stream had its own?
//     --sequence-mask M    of the events' numbers
//     --tls                TLS 1.3 with one cipher suite and one group, so that all servers do the same work
//     --watch PID,PID      the proxy's processes
//     --origin PID         the origin's process, whose time is part of what the generator needs
//
// What is a response, an event and its number is checked for every byte: heads, chunks, lengths, and that no stream lacks an event, has one twice
// or out of order. Anything amiss ends the run with a message and status 1.
//
// Left to others: what is sent (origin.c), what is started when and what the figures are called (bench.py).
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 1 << 18, HEAD = 4096, TURN = 512, IN_FLIGHT = 64, ROUNDS = 4096, PROCESSES = 16, STUCK_SECONDS = 60 };
enum state { HANDSHAKE, WAITING, IN_HEAD, IN_BODY };
enum framing { LENGTH, CHUNKED, UNTIL_CLOSE };
enum chunk { SIZE, EXTENSION, SIZE_END, DATA, DATA_END_CR, DATA_END_LF, TRAILER, TRAILER_LINE };
enum { SEEKING = 255, DIGITS = 24 };

struct connection {
    int fd;
    uint8_t state, framing, chunk;
    uint8_t digits;              // of an event's stamp and number that were read; SEEKING between events
    bool opened, fresh;          // its first event came; no response yet on this connection
    uint16_t head_length;
    uint32_t events;             // of this response
    uint32_t sequence, expected;
    uint64_t stamp, left;        // left: of the chunk or the body
    uint64_t heard_ns;           // the last comment
    SSL *ssl;
    char *head;                  // while the response's head comes
};

struct samples {
    uint32_t *values;
    size_t count, capacity;
};

struct round {
    uint64_t stamp, last_ns;
    long count;
};

static struct {
    int port;
    const char *path;
    long streams, first, leave_after, most;
    long warm_ms, window_ms;
    bool repeat, heartbeats, rounds, tls;
    uint32_t sequence_mask;
} options = {.path = "/idle", .streams = 1, .warm_ms = 300, .window_ms = 1000, .most = -1, .sequence_mask = UINT32_MAX};

static enum phase { FIRST, BASELINE, OPENING, WARMING, WINDOW, OVER } phase;
static const char *const phase_names[] = {"opening the first streams", "taking the base line", "opening streams", "warming up", "in the window", "over"};

static int poller;
static struct connection *connections;
static long started, in_flight, opened;
static SSL_CTX *tls;
static char request[1024];
static size_t request_length;
static char buffer[BUFFER];

static pid_t watched[PROCESSES], origin;
static int watched_count;

// What happened in the window.
static uint64_t events, responses, heartbeats, body_bytes, reconnects;
static struct samples latencies, deviations, round_times;
static struct round rounds[ROUNDS];
static long rounds_count;

static void fail(const char *format, ...) {
    va_list list;
    va_start(list, format);
    fprintf(stderr, "load, %s: ", phase_names[phase]);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    exit(1);
}

static uint64_t clock_ns(clockid_t id) {
    struct timespec time;
    if (clock_gettime(id, &time)) fail("a clock cannot be read: %s", strerror(errno));
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

// The kernel's own account of a process, all threads, to the nanosecond: the same sum_exec_runtime as in /proc/PID/schedstat, but
// brought up to date for a thread that runs just now.
static uint64_t processor_ns(pid_t process) {
    clockid_t id;
    int error = clock_getcpuclockid(process, &id);
    if (error) fail("process %d has gone: %s", process, strerror(error));
    return clock_ns(id);
}

static uint64_t watched_ns(void) {
    uint64_t sum = 0;
    for (int index = 0; index < watched_count; index++) sum += processor_ns(watched[index]);
    return sum;
}

// How long the watched threads were ready to run while something else had their core: the second number of schedstat.
static uint64_t waited_ns(void) {
    uint64_t sum = 0;
    for (int index = 0; index < watched_count; index++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/task", watched[index]);
        DIR *const threads = opendir(path);
        if (!threads) fail("%s cannot be read: %s", path, strerror(errno));
        for (struct dirent *thread; (thread = readdir(threads));) {
            char name[400];
            unsigned long long ran = 0, waited = 0;
            snprintf(name, sizeof name, "%s/%s/schedstat", path, thread->d_name);
            FILE *const file = thread->d_name[0] == '.' ? NULL : fopen(name, "r");
            if (!file) continue;
            if (fscanf(file, "%llu %llu", &ran, &waited) == 2) sum += waited;
            fclose(file);
        }
        closedir(threads);
    }
    return sum;
}

// The proportional set size of all watched processes together, in KiB.
static long watched_memory(void) {
    long sum = 0;
    for (int index = 0; index < watched_count; index++) {
        char path[64], line[256];
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", watched[index]);
        FILE *file = fopen(path, "r");
        if (!file) fail("%s cannot be read: %s", path, strerror(errno));
        long size;
        while (fgets(line, sizeof line, file)) {
            if (sscanf(line, "Pss: %ld", &size) == 1) sum += size;
        }
        fclose(file);
    }
    return sum;
}

static void keep(struct samples *samples, uint64_t value) {
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity ? samples->capacity * 2 : 65536;
        samples->values = realloc(samples->values, samples->capacity * sizeof *samples->values);
        if (!samples->values) fail("no memory");
    }
    samples->values[samples->count++] = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static int compare(const void *one, const void *other) {
    const uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static void print_samples(const char *name, struct samples *samples) {
    if (!samples->count) return;
    qsort(samples->values, samples->count, sizeof *samples->values, compare);
    const double parts[] = {0.5, 0.9, 0.99, 1};
    const char *const names[] = {"median", "90", "99", "most"};
    printf(", \"%s_us\": {\"count\": %zu", name, samples->count);
    for (int part = 0; part < 4; part++) {
        printf(", \"%s\": %.1f", names[part], samples->values[(size_t)(parts[part] * (double)(samples->count - 1))] / 1000.0);
    }
    printf("}");
}

// MARK: connections

static void watch(struct connection *connection, int operation, uint32_t interest) {
    struct epoll_event event = {.events = interest, .data.ptr = connection};
    if (epoll_ctl(poller, operation, connection->fd, &event)) fail("epoll_ctl: %s", strerror(errno));
}

static void send_request(struct connection *connection) {
    connection->state = WAITING;
    connection->events = 0;
    connection->expected = 0;
    connection->digits = SEEKING;
    const ssize_t sent = connection->ssl ? SSL_write(connection->ssl, request, (int)request_length)
                                         : send(connection->fd, request, request_length, MSG_NOSIGNAL);
    // A connection that the server has just closed is found out by reading.
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET) && !connection->fresh) return;
    if (sent != (ssize_t)request_length) fail("a request could not be sent: %s", strerror(errno));
}

static void shake_hands(struct connection *connection) {
    const int result = SSL_connect(connection->ssl);
    if (result == 1) {
        if (SSL_session_reused(connection->ssl)) fail("a TLS session was resumed");
        send_request(connection);
        return;
    }
    const int error = SSL_get_error(connection->ssl, result);
    if (error != SSL_ERROR_WANT_READ) fail("a TLS handshake failed (%d)", error);
}

static void start(struct connection *connection) {
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) fail("socket: %s", strerror(errno));
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)options.port)};
    // Over loopback a connection is there at once, unless the backlog is full; then waiting is right.
    if (connect(connection->fd, (const struct sockaddr *)&address, sizeof address)) fail("connect: %s", strerror(errno));
    int on = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection->fresh = true;
    watch(connection, EPOLL_CTL_ADD, EPOLLIN);
    if (!options.tls) {
        send_request(connection);
        return;
    }
    // From here on nothing may wait: a record that came in part must not hold up the other streams.
    if (fcntl(connection->fd, F_SETFL, O_NONBLOCK)) fail("fcntl: %s", strerror(errno));
    connection->state = HANDSHAKE;
    connection->ssl = SSL_new(tls);
    if (!connection->ssl || !SSL_set_fd(connection->ssl, connection->fd)) fail("no memory for TLS");
    shake_hands(connection);
}

static void start_again(struct connection *connection) {
    close(connection->fd);
    start(connection);
}

// MARK: what comes

static void receive_heartbeats(struct connection *connection, const char *bytes, size_t count, uint64_t now) {
    const char *const end = bytes + count;
    while ((bytes = memchr(bytes, ':', (size_t)(end - bytes)))) {
        bytes++;
        if (phase == WINDOW) {
            heartbeats++;
            const int64_t deviation = (int64_t)(now - connection->heard_ns) - 1000000000;
            if (connection->heard_ns) keep(&deviations, (uint64_t)(deviation < 0 ? -deviation : deviation));
        }
        connection->heard_ns = now;
    }
}

static void receive_event(struct connection *connection, uint64_t now) {
    connection->digits = SEEKING;
    if (((connection->sequence ^ connection->expected) & options.sequence_mask) != 0) {
        fail("event %u came where %u was due", connection->sequence, connection->expected);
    }
    connection->expected = connection->sequence + 1;
    connection->events++;
    if (!connection->opened) {
        connection->opened = true;
        opened++;
        in_flight--;
    }
    if (phase != WINDOW) return;
    events++;
    if (!options.repeat && connection->stamp) keep(&latencies, now - connection->stamp);
    if (!options.rounds) return;
    long index = rounds_count - 1;
    while (index >= 0 && rounds[index].stamp != connection->stamp) index--;
    if (index < 0) {
        if (rounds_count == ROUNDS) fail("too many rounds");
        index = rounds_count++;
        rounds[index].stamp = connection->stamp;
    }
    rounds[index].count++;
    rounds[index].last_ns = now;
}

// A body's own bytes, in any pieces.
static void receive_payload(struct connection *connection, const char *bytes, size_t count, uint64_t now) {
    const char *const end = bytes + count;
    if (phase == WINDOW) body_bytes += count;
    if (options.heartbeats && connection->opened) receive_heartbeats(connection, bytes, count, now);
    while (bytes < end) {
        if (connection->digits == SEEKING) {
            if (!(bytes = memchr(bytes, '@', (size_t)(end - bytes)))) return;
            bytes++;
            connection->digits = 0;
            connection->stamp = 0;
            connection->sequence = 0;
        } else if (connection->digits < DIGITS) {
            const char character = *bytes++;
            const uint32_t digit = (uint32_t)(character <= '9' ? character - '0' : character - 'a' + 10);
            if (digit > 15) fail("an event's number is broken");
            if (connection->digits++ < 16) connection->stamp = connection->stamp << 4 | digit;
            else connection->sequence = connection->sequence << 4 | digit;
        } else {
            if (!(bytes = memchr(bytes, '~', (size_t)(end - bytes)))) return;
            bytes++;
            receive_event(connection, now);
        }
    }
}

static void end_response(struct connection *connection) {
    if (!options.repeat) fail("a stream ended that should be held");
    if (phase == WINDOW) responses++;
    if (connection->digits != SEEKING) fail("a response ended within an event");
    connection->fresh = false;
    send_request(connection);
}

// RFC 9112 section 7.1. Returns how many bytes were taken; fewer than given only at the body's end.
static size_t receive_chunks(struct connection *connection, const char *bytes, size_t count, uint64_t now) {
    size_t position = 0;
    while (position < count) {
        const char character = bytes[position];
        switch ((enum chunk)connection->chunk) {
            case SIZE:
                if (character == '\r') connection->chunk = SIZE_END;
                else if (character == ';') connection->chunk = EXTENSION;
                else if (character >= '0' && character <= '9') connection->left = connection->left << 4 | (uint64_t)(character - '0');
                else if ((character | 32) >= 'a' && (character | 32) <= 'f') connection->left = connection->left << 4 | (uint64_t)((character | 32) - 'a' + 10);
                else if (character != ' ') fail("a chunk's size is broken");
                position++;
                break;
            case EXTENSION:
                if (character == '\r') connection->chunk = SIZE_END;
                position++;
                break;
            case SIZE_END:
                if (character != '\n') fail("a chunk's size is broken");
                connection->chunk = connection->left ? DATA : TRAILER;
                position++;
                break;
            case DATA: {
                const size_t piece = connection->left < count - position ? connection->left : count - position;
                connection->left -= piece;
                if (!connection->left) connection->chunk = DATA_END_CR;
                receive_payload(connection, bytes + position, piece, now);
                position += piece;
                break;
            }
            case DATA_END_CR:
            case DATA_END_LF:
                if (character != (connection->chunk == DATA_END_CR ? '\r' : '\n')) fail("a chunk's end is broken");
                connection->chunk = connection->chunk == DATA_END_CR ? DATA_END_LF : SIZE;
                position++;
                break;
            case TRAILER:
                position++;
                if (character == '\n') return connection->chunk = SIZE, connection->left = UINT64_MAX, position;
                if (character != '\r') connection->chunk = TRAILER_LINE;
                break;
            case TRAILER_LINE:
                if (character == '\n') connection->chunk = TRAILER;
                position++;
                break;
        }
    }
    return position;
}

// A field's value in a head, or NULL. Names are compared at line starts only.
static const char *field(const char *head, const char *name) {
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        if (!strncasecmp(line + 2, name, strlen(name)) && line[2 + strlen(name)] == ':') {
            const char *value = line + 3 + strlen(name);
            return value + strspn(value, " \t");
        }
    }
    return NULL;
}

static void understand_head(struct connection *connection) {
    const char *const head = connection->head;
    if (strncmp(head, "HTTP/1.1 200", 12)) fail("not a 200: %.60s", head);
    const char *const length = field(head, "Content-Length"), *const coding = field(head, "Transfer-Encoding");
    connection->left = length ? strtoull(length, NULL, 10) : 0;
    connection->framing = coding && !strncasecmp(coding, "chunked", 7) ? CHUNKED : length ? LENGTH : UNTIL_CLOSE;
    connection->chunk = SIZE;
    connection->state = IN_BODY;
}

static void receive_body(struct connection *connection, const char *bytes, size_t count, uint64_t now) {
    size_t taken = count;
    bool ended = false;
    if (connection->framing == CHUNKED) {
        taken = receive_chunks(connection, bytes, count, now);
        ended = connection->chunk == SIZE && connection->left == UINT64_MAX;
    } else if (connection->framing == LENGTH) {
        if (count > connection->left) fail("bytes behind a response");
        connection->left -= count;
        receive_payload(connection, bytes, count, now);
        ended = connection->left == 0;
    } else {
        receive_payload(connection, bytes, count, now);
    }
    if (taken != count) fail("bytes behind a response");
    if (ended) end_response(connection);
}

static void receive_bytes(struct connection *connection, const char *bytes, size_t count, uint64_t now) {
    if (connection->state == WAITING) {
        connection->head = malloc(HEAD);
        if (!connection->head) fail("no memory");
        connection->head_length = 0;
        connection->state = IN_HEAD;
    }
    if (connection->state == IN_HEAD) {
        const size_t known = connection->head_length, room = HEAD - 1 - known, piece = count < room ? count : room;
        memcpy(connection->head + known, bytes, piece);
        connection->head[known + piece] = 0;
        connection->head_length += (uint16_t)piece;
        const char *const blank = strstr(connection->head, "\r\n\r\n");
        if (!blank) {
            if (connection->head_length == HEAD - 1) fail("a head of more than %d bytes", HEAD);
            return;
        }
        const size_t used = (size_t)(blank + 4 - connection->head) - known;
        understand_head(connection);
        free(connection->head);
        connection->head = NULL;
        bytes += used;
        count -= used;
    }
    if (count) receive_body(connection, bytes, count, now);
}

static void receive_end(struct connection *connection) {
    // A server may close an idle connection just when it is used again.
    if (options.repeat && connection->state == WAITING && !connection->fresh) {
        if (phase == WINDOW) reconnects++;
        start_again(connection);
        return;
    }
    fail("a connection ended in %s: %s", connection->state == IN_BODY ? "the body" : "the head", strerror(errno));
}

static void receive(struct connection *connection) {
    if (connection->state == HANDSHAKE) {
        shake_hands(connection);
        return;
    }
    if (connection->ssl) {
        for (;;) {
            const int count = SSL_read(connection->ssl, buffer, BUFFER);
            if (count > 0) {
                receive_bytes(connection, buffer, (size_t)count, now_ns());
                continue;
            }
            if (SSL_get_error(connection->ssl, count) != SSL_ERROR_WANT_READ) fail("a TLS stream ended");
            return;
        }
    }
    // Of an ordinary body only the length is looked at: the kernel may throw the bytes away, which keeps the generator fast.
    const bool discards = options.repeat && connection->state == IN_BODY && connection->framing == LENGTH;
    const size_t most = discards && connection->left < BUFFER ? connection->left : BUFFER;
    errno = 0;
    const ssize_t count = recv(connection->fd, discards ? NULL : buffer, most, discards ? MSG_TRUNC : 0);
    if (count <= 0) {
        receive_end(connection);
        return;
    }
    const uint64_t now = now_ns();
    if (discards) {
        connection->left -= (uint64_t)count;
        if (phase == WINDOW) body_bytes += (uint64_t)count;
        if (!connection->left) end_response(connection);
    } else {
        receive_bytes(connection, buffer, (size_t)count, now);
    }
    if (options.leave_after && connection->events == options.leave_after) {
        if (phase == WINDOW) responses++;
        start_again(connection);
    }
}

// MARK: the course of a run

struct mark {
    uint64_t time_ns, proxy_ns, origin_ns, own_ns, waited_ns;
};

static struct mark mark(void) {
    return (struct mark){now_ns(), watched_ns(), origin ? processor_ns(origin) : 0, clock_ns(CLOCK_PROCESS_CPUTIME_ID), waited_ns()};
}

static struct mark opening, opening_end, window, window_end;
static long memory_before, memory_after, opened_before;
static uint64_t deadline_ns;

static void open_more(void) {
    const long wanted = phase == FIRST && !options.repeat ? options.first : options.streams;
    while (started < wanted && (in_flight < IN_FLIGHT || options.repeat)) {
        in_flight++;
        start(&connections[started++]);
    }
}

static void enter(enum phase next, long wait_ms) {
    phase = next;
    deadline_ns = now_ns() + (uint64_t)wait_ms * 1000000;
}

// Moves on from phase to phase; says how many milliseconds the next step may take.
static int advance(void) {
    const enum phase before = phase;
    const bool due = now_ns() >= deadline_ns;
    switch (phase) {
        case FIRST:
            if (options.repeat) enter(WARMING, options.warm_ms);
            else if (opened >= options.first) enter(BASELINE, options.first ? 300 : 0);
            break;
        case BASELINE:
            if (!due) break;
            memory_before = watched_memory();
            opened_before = opened;
            opening = mark();
            enter(OPENING, 0);
            break;
        case OPENING:
            if (opened < options.streams) break;
            opening_end = mark();
            enter(WARMING, options.warm_ms);
            break;
        case WARMING:
            if (!due) break;
            window = mark();
            enter(WINDOW, options.window_ms);
            break;
        case WINDOW:
            if (!due && (options.most < 0 || responses < (uint64_t)options.most)) break;
            window_end = mark();
            phase = OVER;
            memory_after = watched_memory();
            break;
        case OVER: break;
    }
    if (phase != before) return 0;
    const uint64_t now = now_ns();
    if (now < deadline_ns) return (int)((deadline_ns - now) / 1000000) + 1;
    if (now > deadline_ns + (uint64_t)STUCK_SECONDS * 1000000000) fail("stuck with %ld of %ld streams", opened, options.streams);
    return 1000;
}

static void print(void) {
    const double wall = (double)(window_end.time_ns - window.time_ns);
    printf("{\"streams\": %ld, \"seconds\": %.6f, \"proxy_ns\": %lu, \"proxy_busy\": %.4f, \"generator_busy\": %.4f", options.streams, wall / 1e9,
           window_end.proxy_ns - window.proxy_ns, (double)(window_end.proxy_ns - window.proxy_ns) / wall,
           (double)(window_end.own_ns - window.own_ns + window_end.origin_ns - window.origin_ns) / wall);
    printf(", \"proxy_waited\": %.4f", (double)(window_end.waited_ns - window.waited_ns) / wall);
    printf(", \"events\": %lu, \"responses\": %lu, \"heartbeats\": %lu, \"body_bytes\": %lu, \"reconnects\": %lu", events, responses, heartbeats,
           body_bytes, reconnects);
    if (!options.repeat) {
        printf(", \"opened\": %ld, \"opening_seconds\": %.6f, \"opening_proxy_ns\": %lu, \"opening_generator_busy\": %.4f", opened - opened_before,
               (double)(opening_end.time_ns - opening.time_ns) / 1e9, opening_end.proxy_ns - opening.proxy_ns,
               (double)(opening_end.own_ns - opening.own_ns + opening_end.origin_ns - opening.origin_ns)
                   / (double)(opening_end.time_ns - opening.time_ns));
        printf(", \"memory_before_kib\": %ld, \"memory_after_kib\": %ld", memory_before, memory_after);
    }
    long whole = 0;
    for (long index = 0; index < rounds_count; index++) {
        if (rounds[index].count != options.streams) continue;
        whole++;
        keep(&round_times, rounds[index].last_ns - rounds[index].stamp);
    }
    if (options.rounds) printf(", \"rounds\": %ld", whole);
    print_samples("latency", &latencies);
    print_samples("deviation", &deviations);
    print_samples("round", &round_times);
    printf("}\n");
}

static void prepare_tls(void) {
    tls = SSL_CTX_new(TLS_client_method());
    if (!tls || !SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) || !SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256")
        || !SSL_CTX_set1_groups_list(tls, "X25519")) fail("TLS cannot be set up");
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
}

static void read_options(int count, char **arguments) {
    static const struct option known[] = {
        {"port", 1, 0, 'p'}, {"path", 1, 0, 'P'}, {"streams", 1, 0, 'n'}, {"first", 1, 0, 'f'}, {"repeat", 0, 0, 'r'},
        {"leave-after", 1, 0, 'l'}, {"most", 1, 0, 'm'}, {"warm-ms", 1, 0, 'W'}, {"window-ms", 1, 0, 'w'}, {"heartbeats", 0, 0, 'h'},
        {"rounds", 0, 0, 'R'}, {"sequence-mask", 1, 0, 's'}, {"tls", 0, 0, 't'}, {"watch", 1, 0, 'c'}, {"origin", 1, 0, 'o'}, {0, 0, 0, 0}};
    int option;
    while ((option = getopt_long(count, arguments, "", known, NULL)) != -1) {
        switch (option) {
            case 'p': options.port = atoi(optarg); break;
            case 'P': options.path = optarg; break;
            case 'n': options.streams = atol(optarg); break;
            case 'f': options.first = atol(optarg); break;
            case 'r': options.repeat = true; break;
            case 'l': options.leave_after = atol(optarg); break;
            case 'm': options.most = atol(optarg); break;
            case 'W': options.warm_ms = atol(optarg); break;
            case 'w': options.window_ms = atol(optarg); break;
            case 'h': options.heartbeats = true; break;
            case 'R': options.rounds = true; break;
            case 's': options.sequence_mask = (uint32_t)strtoul(optarg, NULL, 0); break;
            case 't': options.tls = true; break;
            case 'o': origin = atoi(optarg); break;
            case 'c':
                for (char *piece = strtok(optarg, ","); piece && watched_count < PROCESSES; piece = strtok(NULL, ",")) {
                    watched[watched_count++] = atoi(piece);
                }
                break;
            default: exit(64);
        }
    }
    if (options.port <= 0 || options.streams <= 0 || options.first > options.streams) fail("impossible options");
}

int main(int count, char **arguments) {
    read_options(count, arguments);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    // About what a browser sends along.
    request_length = (size_t)snprintf(
        request, sizeof request,
        "GET %s HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
        "Safari/537.36\r\nAccept: %s\r\nAccept-Language: en-GB,en;q=0.9\r\nCache-Control: no-cache\r\nReferer: https://bench.example/page\r\n"
        "Cookie: theme=dark; visits=12\r\n\r\n",
        options.path, options.repeat && !options.leave_after && strcmp(options.path, "/keep") ? "*/*" : "text/event-stream");
    if (options.tls) prepare_tls();
    connections = calloc((size_t)options.streams, sizeof *connections);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!connections || poller < 0) fail("no memory");
    struct epoll_event ready[TURN];
    deadline_ns = now_ns();
    for (;;) {
        if (phase == FIRST || phase == OPENING) open_more();
        const int timeout = advance();
        if (phase == OVER) break;
        const int number = epoll_wait(poller, ready, TURN, timeout);
        if (number < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
        for (int index = 0; index < number; index++) receive(ready[index].data.ptr);
    }
    print();
    // Ten thousand connections are closed faster by the kernel than one by one, and nobody waits for it.
    fflush(stdout);
    _exit(0);
}
