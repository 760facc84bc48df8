// Of the load generator: its connections, and every byte that comes over them: heads, chunks, lengths, TLS, and that no stream lacks an
// event, has one twice or out of order.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

// MARK: connections

void begin_response(struct connection *connection) {
    connection->state = WAITING;
    connection->events = 0;
    connection->expected = connection->place.expected;
    connection->digits = SEEKING;
}

static void send_request(struct connection *connection) {
    begin_response(connection);
    const char *text = request;
    size_t length = request_length;
    if (options.tokens) text = request_with_token(&length);
    if (phase == WINDOW && options.return_ms) text = request_with_id(connection, &length);
    const ssize_t sent = connection->ssl ? SSL_write(connection->ssl, text, (int)length) : send(connection->fd, text, length, MSG_NOSIGNAL);
    // A connection that the server has just closed is found out by reading.
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET) && !connection->fresh) return;
    if (sent != (ssize_t)length) fail("a request could not be sent: %s", strerror(errno));
}

int connect_to_proxy(void *owner) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket: %s", strerror(errno));
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)options.port)};
    // Over loopback a connection is there at once, unless the backlog is full; then waiting is right.
    if (connect(fd, (const struct sockaddr *)&address, sizeof address)) fail("connect: %s", strerror(errno));
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = owner};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl: %s", strerror(errno));
    return fd;
}

bool shake_hands(SSL *ssl) {
    const int result = SSL_connect(ssl);
    if (result == 1) {
        if (SSL_session_reused(ssl)) fail("a TLS session was resumed");
        return true;
    }
    const int error = SSL_get_error(ssl, result);
    if (error != SSL_ERROR_WANT_READ) fail("a TLS handshake failed (%d)", error);
    return false;
}

SSL *start_tls(int fd) {
    // From here on nothing may wait: a record that came in part must not hold up the other streams.
    if (fcntl(fd, F_SETFL, O_NONBLOCK)) fail("fcntl: %s", strerror(errno));
    SSL *const ssl = SSL_new(tls);
    if (!ssl || !SSL_set_fd(ssl, fd)) fail("no memory for TLS");
    return ssl;
}

void start(struct connection *connection) {
    connection->fd = connect_to_proxy(connection);
    connection->fresh = true;
    if (options.tls) {
        connection->state = HANDSHAKE;
        connection->ssl = start_tls(connection->fd);
        if (shake_hands(connection->ssl)) send_request(connection);
    } else {
        send_request(connection);
    }
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

void mark_opened(struct connection *connection) {
    if (connection->opened) return;
    connection->opened = true;
    opened++;
    in_flight--;
}

static void receive_event(struct connection *connection, uint64_t now) {
    connection->digits = SEEKING;
    if (options.joins && !connection->events && phase != WINDOW) connection->expected = connection->sequence;
    if (((connection->sequence ^ connection->expected) & options.sequence_mask) != 0) {
        fail("event %u came where %u was due", connection->sequence, connection->expected);
    }
    connection->expected = connection->sequence + 1;
    connection->events++;
    if (connection->events >= options.opening_events) mark_opened(connection);
    if (phase != WINDOW) return;
    events++;
    if (!options.repeat && connection->stamp) keep(&latencies, now - connection->stamp);
    if (options.return_ms) note_live(connection, now);
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
void receive_payload(struct connection *connection, const char *bytes, size_t count, uint64_t now) {
    const char *const end = bytes + count;
    if (phase == WINDOW) body_bytes += count;
    if (options.heartbeats && connection->opened) receive_heartbeats(connection, bytes, count, now);
    if (options.return_ms && phase != WINDOW) note_id(connection, bytes, count);
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

void finish_response(struct connection *connection) {
    if (phase == WINDOW) responses++;
    connection->fresh = false;
    if (connection->shared) start_shared(connection);
    else send_request(connection);
}

void end_response(struct connection *connection) {
    if (!options.repeat) fail("a stream ended that should be held");
    if (connection->digits != SEEKING) fail("a response ended within an event");
    finish_response(connection);
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
    if (strncmp(head, "HTTP/1.1 ", 9) || atoi(head + 9) != options.status) fail("not a %d: %.60s", options.status, head);
    const char *const length = field(head, "Content-Length"), *const coding = field(head, "Transfer-Encoding");
    connection->left = length ? strtoull(length, NULL, 10) : 0;
    connection->framing = coding && !strncasecmp(coding, "chunked", 7) ? CHUNKED : length ? LENGTH : UNTIL_CLOSE;
    connection->chunk = SIZE;
    connection->state = IN_BODY;
    if (!options.repeat && !options.opening_events) mark_opened(connection);
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

void receive(struct connection *connection) {
    if (connection->state == HANDSHAKE) {
        if (shake_hands(connection->ssl)) send_request(connection);
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
    if (options.leaves && connection->opened) close(connection->fd);
}
