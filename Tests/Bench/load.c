// The load generator of Tests/bench: one thread over one epoll. It opens streams and holds them, or makes requests over and over; it checks
// and counts what comes; and it takes the processor time of the processes it watches exactly around its window. It prints one line of JSON.
//
//   load --port P --path /fan --streams N [options]
//     --repeat             a response that ended is followed by the next request; without it, streams are held
//     --leave-after N      leaves after N events and connects again (with --repeat)
//     --first N            streams that are opened before the memory's base line is taken (held streams only)
//     --warm-ms, --window-ms   how long before and in the window
//     --opening-events N   events after which a stream counts as opened; 0: its head is enough
//     --leaves             a client leaves as soon as its stream is opened
//     --joins              a stream begins with any event
//     --return-ms N        all clients leave after the warming, and come back so much later, at once, each with its Last-Event-ID; the
//                          window ends when all have an event that was sent after that
//     --most N             responses after which the window ends early
//     --heartbeats         counts comments and their intervals
//     --rounds             the events of one moment belong together: how long until the last stream had its own?
//     --sequence-mask M    of the events' numbers
//     --tls                TLS 1.3 with one cipher suite and one group, so that all servers do the same work
//     --shared N           HTTP/2, so many streams on each connection (with --tls)
//     --unread PATH        the last stream asks for this, and gives no window back
//     --tokens FILE        each request brings the next of these tokens
//     --status N           what every response must be, if not 200
//     --narrow             windows of 65,535 bytes, a stream's and a connection's, instead of a browser's
//     --watch PID,PID      the proxy's processes
//     --origin PID         the origin's process, whose time is part of what the generator needs
//
// Here is the course of a run: its phases, its window, its options and the line that it prints. Every byte that comes is checked in
// load_responses.c, HTTP/2's frames in load_http2.c, tokens are
// load_tokens.c's, clients that come back load_crowd.c's; anything amiss ends the run with a message and status 1. What the kernel says
// of the processes is in load_processes.c.
//
// origin.c decides what is sent, bench.py what is started when and how the figures are named.
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "load.h"

struct options options = {.path = "/idle", .streams = 1, .warm_ms = 300, .window_ms = 1000, .most = -1, .sequence_mask = UINT32_MAX,
                          .status = 200, .opening_events = 1};

const char *const phase_names[] = {"opening the first streams", "taking the base line", "opening streams", "warming up",
                                   "while all are away", "in the window", "over"};
enum phase phase;
int poller;
struct connection *connections;
long started, in_flight, opened;
SSL_CTX *tls;
char request[1024];
size_t request_length;
char buffer[BUFFER];
pid_t watched[PROCESSES], origin;
int watched_count;
uint64_t events, responses, heartbeats, body_bytes, reconnects;
struct samples latencies, deviations, round_times;
struct round rounds[ROUNDS];
long rounds_count;

struct mark {
    uint64_t time_ns, proxy_ns, origin_ns, own_ns, waited_ns, origin_bytes;
};

static struct mark mark(void) {
    return (struct mark){now_ns(), watched_ns(), origin ? processor_ns(origin) : 0, clock_ns(CLOCK_PROCESS_CPUTIME_ID), waited_ns(),
                         origin ? written_bytes(origin) : 0};
}

static struct mark opening, opening_end, window, window_end;
static long memory_before, memory_after, opened_before;
static uint64_t deadline_ns;

static void open_more(void) {
    const long wanted = phase == FIRST && !options.repeat ? options.first : options.streams;
    while (started < wanted && (in_flight < IN_FLIGHT || options.repeat)) {
        // The stream that is not read begins when the others are there.
        if (options.unread && started == options.streams - 1 && opened < started) break;
        in_flight++;
        struct connection *const connection = &connections[started++];
        if (options.shared) start_shared(connection);
        else start(connection);
    }
    flush_all();
}

static void enter(enum phase next, long wait_ms) {
    phase = next;
    deadline_ns = now_ns() + (uint64_t)wait_ms * 1000000;
}

// Moves from phase to phase; returns how many milliseconds the next step may take.
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
            if (options.return_ms) {
                leave_all();
                enter(AWAY, options.return_ms);
                break;
            }
            window = mark();
            enter(WINDOW, options.window_ms);
            break;
        case AWAY:
            if (!due) break;
            window = mark();
            enter(WINDOW, options.window_ms);
            return_all();
            break;
        case WINDOW:
            if (options.return_ms ? !all_are_live() : !due && (options.most < 0 || responses < (uint64_t)options.most)) break;
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
    if (origin) printf(", \"origin_bytes\": %lu", window_end.origin_bytes - window.origin_bytes);
    if (options.return_ms) print_crowd();
    if (options.shared) printf(", \"records\": %lu", records);
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
        {"rounds", 0, 0, 'R'}, {"shared", 1, 0, 'S'}, {"unread", 1, 0, 'u'}, {"narrow", 0, 0, 'N'}, {"sequence-mask", 1, 0, 's'}, {"tokens", 1, 0, 'T'},
        {"status", 1, 0, 'x'}, {"opening-events", 1, 0, 'e'}, {"leaves", 0, 0, 'L'}, {"joins", 0, 0, 'j'}, {"return-ms", 1, 0, 'B'},
        {"tls", 0, 0, 't'}, {"watch", 1, 0, 'c'}, {"origin", 1, 0, 'o'}, {0, 0, 0, 0}};
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
            case 'S': options.shared = atol(optarg); break;
            case 'u': options.unread = optarg; break;
            case 'N': options.narrow = true; break;
            case 'T': options.tokens = optarg; break;
            case 'e': options.opening_events = atol(optarg); break;
            case 'L': options.leaves = true; break;
            case 'j': options.joins = true; break;
            case 'B': options.return_ms = atol(optarg); break;
            case 'x': options.status = atoi(optarg); break;
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
    if (options.shared ? !options.tls : options.unread || options.narrow) fail("HTTP/2's options without HTTP/2");
    if ((options.leaves || options.return_ms) && (options.tls || options.repeat)) fail("clients that leave hold streams of HTTP/1.1");
    if (options.tokens && options.shared) fail("tokens are for HTTP/1.1 only");
    options.accept = options.repeat && !options.leave_after && strcmp(options.path, "/keep") ? "*/*" : "text/event-stream";
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
        options.path, options.accept);
    if (options.tokens) read_tokens(options.tokens);
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
        for (int index = 0; index < number; index++) {
            if (options.shared) receive_shared(ready[index].data.ptr);
            else receive(ready[index].data.ptr);
        }
    }
    print();
    // The kernel closes ten thousand connections faster at exit than one by one, and nothing waits for it.
    fflush(stdout);
    _exit(0);
}
