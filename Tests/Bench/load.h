// What the parts of the load generator share: a connection and how far its response has come, the options, what is counted.
#ifndef HEARTWIRE_BENCH_LOAD_H
#define HEARTWIRE_BENCH_LOAD_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum { BUFFER = 1 << 18, HEAD = 4096, TURN = 512, IN_FLIGHT = 64, ROUNDS = 4096, PROCESSES = 16, STUCK_SECONDS = 60 };
enum state { HANDSHAKE, WAITING, IN_HEAD, IN_BODY };
enum framing { LENGTH, CHUNKED, UNTIL_CLOSE };
enum chunk { SIZE, EXTENSION, SIZE_END, DATA, DATA_END_CR, DATA_END_LF, TRAILER, TRAILER_LINE };
enum { SEEKING = 255, DIGITS = 24, TOKENS = 16384, TOKEN = 2048, ID = 64 };

// How far a client has read: what its next request says, and the number that is due then.
struct place {
    char id[ID], next_id[ID];    // next: of the block that is not over yet
    uint32_t expected, next_expected;
    char line[ID];               // the present one, as far as it has come
    uint16_t line_length;
    bool is_live;                // has an event that was sent after it came back
};

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
    struct shared *shared;       // HTTP/2: the connection, and of this stream its number and the window that is not given back yet
    uint32_t number, unreturned;
    bool is_unread;
    struct place place;          // where it goes on when it comes back
};

struct samples {
    uint32_t *values;
    size_t count, capacity;
};

struct round {
    uint64_t stamp, last_ns;
    long count;
};

struct options {
    int port;
    const char *path, *accept, *unread, *tokens;
    int status;
    long streams, first, leave_after, most, shared;
    long warm_ms, window_ms, opening_events, return_ms;
    bool repeat, heartbeats, rounds, tls, narrow, leaves, joins;
    uint32_t sequence_mask;
};

enum phase { FIRST, BASELINE, OPENING, WARMING, AWAY, WINDOW, OVER };

extern struct options options;
extern enum phase phase;
extern const char *const phase_names[];

extern int poller;
extern struct connection *connections;
extern long started, in_flight, opened;
extern SSL_CTX *tls;
extern char request[1024];
extern size_t request_length;
extern char buffer[BUFFER];

extern pid_t watched[PROCESSES], origin;
extern int watched_count;

// What happened in the window.
extern uint64_t events, responses, heartbeats, body_bytes, reconnects, records;
extern struct samples latencies, deviations, round_times;
extern struct round rounds[ROUNDS];
extern long rounds_count;

// load_processes.c: clocks, what the kernel says of the watched processes, samples.

// Ends the run with a message and status 1.
void fail(const char *format, ...);
uint64_t clock_ns(clockid_t id);
uint64_t now_ns(void);
uint64_t processor_ns(pid_t process);
uint64_t watched_ns(void);
uint64_t waited_ns(void);
long watched_memory(void);
// The same, resident; and the most since the last call of `forget_peak`.
long watched_resident(void);
long watched_peak(void);
void forget_peak(void);
// What the process has written, to sockets too.
uint64_t written_bytes(pid_t process);
void keep(struct samples *samples, uint64_t value);
void print_samples(const char *name, struct samples *samples);

// load_responses.c: connections, and every byte that comes over them.

// Connects, and sends the first request.
void start(struct connection *connection);
// Takes what has come.
void receive(struct connection *connection);

// Of these, what HTTP/2 needs too.

// Connects; what comes is reported with `owner`.
int connect_to_proxy(void *owner);
// TLS for a connection, before its handshake.
SSL *start_tls(int fd);
// Begins a handshake, or goes on with it; true at its end.
bool shake_hands(SSL *ssl);
void begin_response(struct connection *connection);
// A body's own bytes, in any pieces.
void receive_payload(struct connection *connection, const char *bytes, size_t count, uint64_t now);
// The stream's first event came.
void mark_opened(struct connection *connection);
// A response was read to its end, or left; the next request follows.
void end_response(struct connection *connection);
void finish_response(struct connection *connection);

// load_tokens.c: a token for each request.

void read_tokens(const char *path);
// The next request, with the next token.
const char *request_with_token(size_t *length);

// load_crowd.c: clients that all leave, and come back at once.

// Bytes of a stream, before its client leaves.
void note_id(struct connection *connection, const char *bytes, size_t count);
void leave_all(void);
void return_all(void);
// The request of a client that comes back.
const char *request_with_id(const struct connection *connection, size_t *length);
// An event came after the return.
void note_live(struct connection *connection, uint64_t now);
bool all_are_live(void);
void print_crowd(void);

// load_http2.c: connections that `options.shared` streams share.

void start_shared(struct connection *stream);
// Sends the requests that were gathered.
void flush_all(void);
void receive_shared(struct shared *shared);

#endif
