// Of the load generator: HTTP/2 over TLS (RFC 9113): connections that several streams share, their frames and their windows. A stream is a
// `struct connection` as in HTTP/1.1, and what comes on it is checked by the same code (load_responses.c).
//
// It asks as Chromium does: windows of 6 MiB for a stream and 15 MiB for a connection, given back when half is used; fields that stand in
// the server's table after the first request. It reads no fields but `:status 200`, so it needs no HPACK decoder.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

enum { FRAME_HEADER = 9, CONTROL = 16384, OUTPUT = 1 << 17, RECENT = 1024, BLOCK = 1024 };
enum { USUAL_WINDOW = 65535, STREAM_WINDOW = 6 << 20, CONNECTION_WINDOW = 15 << 20, HEADER_TABLE = 4096 };
enum type { DATA_FRAME, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8, CANCEL = 8 };

struct shared {
    int fd;
    SSL *ssl;
    bool ready, has_asked;          // the handshake is done; the fields stand in the server's table
    uint32_t next_number;
    uint32_t unreturned;            // bytes of the connection's window
    uint8_t header[FRAME_HEADER];   // of the frame that is being read
    size_t header_length, control_length;
    uint32_t left, number;          // of that frame: bytes to come, its stream
    uint8_t type, flags;
    struct connection *streams[RECENT];   // by the lower bits of their numbers
    size_t output_length;
    uint8_t output[OUTPUT], control[CONTROL];
};

uint64_t records;
static struct shared **shares;
static long shares_count;

// MARK: what is sent

static void put(struct shared *shared, const void *bytes, size_t count) {
    if (shared->output_length + count > OUTPUT) fail("too much to send at once");
    memcpy(shared->output + shared->output_length, bytes, count);
    shared->output_length += count;
}

static void put_frame(struct shared *shared, enum type type, uint8_t flags, uint32_t stream, const void *payload, size_t count) {
    const uint8_t header[FRAME_HEADER] = {(uint8_t)(count >> 16), (uint8_t)(count >> 8), (uint8_t)count, (uint8_t)type, flags,
                                          (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream};
    put(shared, header, sizeof header);
    put(shared, payload, count);
}

static void put_number(struct shared *shared, enum type type, uint32_t stream, uint32_t value) {
    const uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    put_frame(shared, type, 0, stream, bytes, sizeof bytes);
}

// Sends what was gathered; before the end of the handshake it waits.
static void flush(struct shared *shared) {
    if (!shared->ready || !shared->output_length) return;
    const int sent = SSL_write(shared->ssl, shared->output, (int)shared->output_length);
    if (sent != (int)shared->output_length) fail("requests could not be sent: %s", strerror(errno));
    shared->output_length = 0;
}

void flush_all(void) {
    for (long index = 0; index < shares_count; index++) {
        if (shares[index]) flush(shares[index]);
    }
}

// RFC 7541 section 5.2, without Huffman's code. The length takes one octet or two.
static size_t put_text(uint8_t *to, const char *text) {
    const size_t length = strlen(text);
    size_t used = 0;
    if (length < 127) {
        to[used++] = (uint8_t)length;
    } else {
        if (length >= 127 + 128) fail("a field is too long");
        to[used++] = 127;
        to[used++] = (uint8_t)(length - 127);
    }
    memcpy(to + used, text, length);
    return used + length;
}

// The request's block: about what a browser sends. Fields enter the table with the first request, and are an octet each from then on.
static size_t put_block(uint8_t *to, const char *path, const char *accept, bool is_first) {
    // Names by their index in the static table.
    const struct { uint8_t name; const char *value; } fields[] = {
        {1, "bench.example"}, {58, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"},
        {19, accept}, {17, "en-GB,en;q=0.9"}, {24, "no-cache"}, {51, "https://bench.example/page"}, {32, "theme=dark"}, {32, "visits=12"}};
    enum { COUNT = sizeof fields / sizeof *fields, FIRST_DYNAMIC = 62 };
    size_t length = 0;
    to[length++] = 0x82;   // :method GET
    to[length++] = 0x87;   // :scheme https
    to[length++] = 0x04;   // :path, which enters no table
    length += put_text(to + length, path);
    for (int index = 0; index < COUNT; index++) {
        // The field that entered last has the lowest index.
        if (!is_first) {
            to[length++] = (uint8_t)(0x80 | (FIRST_DYNAMIC + COUNT - 1 - index));
            continue;
        }
        to[length++] = (uint8_t)(0x40 | fields[index].name);
        length += put_text(to + length, fields[index].value);
    }
    return length;
}

void send_shared_request(struct connection *stream) {
    struct shared *const shared = stream->shared;
    uint8_t block[BLOCK];
    const bool is_unread = options.unread && stream == &connections[options.streams - 1];
    const size_t length = put_block(block, is_unread ? options.unread : options.path, options.accept, !shared->has_asked);
    stream->number = shared->next_number;
    stream->unreturned = 0;
    stream->is_unread = is_unread;
    shared->next_number += 2;
    struct connection **const place = &shared->streams[stream->number / 2 % RECENT];
    if (*place) fail("a stream is older than %d others", RECENT);
    *place = stream;
    shared->has_asked = true;
    put_frame(shared, HEADERS, END_STREAM | END_HEADERS, stream->number, block, length);
}

// MARK: connections

// The record layer's callback: counts the heads of TLS records that came.
static void count_record(int is_sent, int version, int type, const void *bytes, size_t count, SSL *ssl, void *argument) {
    (void)version, (void)bytes, (void)count, (void)ssl, (void)argument;
    if (!is_sent && type == SSL3_RT_HEADER && phase == WINDOW) records++;
}

// Whether the handshake is done, or ends now.
static bool is_ready(struct shared *shared) {
    if (!shake_hands(shared->ssl)) return false;
    const uint8_t *protocol;
    unsigned length;
    SSL_get0_alpn_selected(shared->ssl, &protocol, &length);
    if (length != 2) fail("HTTP/2 was not chosen");
    shared->ready = true;
    flush(shared);
    return true;
}

static struct shared *open_shared(long index) {
    if (!shares) {
        shares_count = (options.streams + options.shared - 1) / options.shared;
        shares = calloc((size_t)shares_count, sizeof *shares);
        if (!shares || !SSL_CTX_set_max_proto_version(tls, TLS1_3_VERSION)) fail("no memory");
        if (SSL_CTX_set_alpn_protos(tls, (const uint8_t *)"\x02h2", 3)) fail("no memory");
        SSL_CTX_set_msg_callback(tls, count_record);
    }
    struct shared *const shared = shares[index] = calloc(1, sizeof *shared);
    if (!shared) fail("no memory");
    shared->next_number = 1;
    shared->fd = connect_to_proxy(shared);
    shared->ssl = start_tls(shared->fd);
    put(shared, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    // ENABLE_PUSH 0, INITIAL_WINDOW_SIZE.
    static const uint8_t settings[] = {0, 2, 0, 0, 0, 0, 0, 4, STREAM_WINDOW >> 24, STREAM_WINDOW >> 16 & 255, STREAM_WINDOW >> 8 & 255,
                                       STREAM_WINDOW & 255};
    put_frame(shared, SETTINGS, 0, 0, settings, options.narrow ? 6 : sizeof settings);
    if (!options.narrow) put_number(shared, WINDOW_UPDATE, 0, CONNECTION_WINDOW - USUAL_WINDOW);
    is_ready(shared);
    return shared;
}

void start_shared(struct connection *stream) {
    const long index = (stream - connections) / options.shared;
    stream->shared = shares && shares[index] ? shares[index] : open_shared(index);
    stream->state = WAITING;
    begin_response(stream);
    send_shared_request(stream);
}

// MARK: what comes

static struct connection *stream_of(const struct shared *shared, uint32_t number) {
    if (number % 2 == 0 || number >= shared->next_number) fail("a frame for a stream that was never opened");
    struct connection *const stream = shared->streams[number / 2 % RECENT];
    return stream && stream->number == number ? stream : NULL;
}

static void close_stream(struct shared *shared, struct connection *stream) {
    shared->streams[stream->number / 2 % RECENT] = NULL;
    stream->state = WAITING;
}

// Bytes that were read: both windows are given back when half of them is used.
static void give_back(struct shared *shared, struct connection *stream, uint32_t count) {
    shared->unreturned += count;
    if (shared->unreturned >= (options.narrow ? USUAL_WINDOW : CONNECTION_WINDOW) / 2) {
        put_number(shared, WINDOW_UPDATE, 0, shared->unreturned);
        shared->unreturned = 0;
    }
    if (!stream) return;
    stream->unreturned += count;
    if (stream->unreturned >= (options.narrow ? USUAL_WINDOW : STREAM_WINDOW) / 2) {
        put_number(shared, WINDOW_UPDATE, stream->number, stream->unreturned);
        stream->unreturned = 0;
    }
}

static void receive_data(struct shared *shared, const char *bytes, size_t count, uint64_t now) {
    struct connection *const stream = stream_of(shared, shared->number);
    if (stream && stream->is_unread) {
        mark_opened(stream);
        return;
    }
    if (stream && stream->state != IN_BODY) fail("DATA before the head");
    give_back(shared, stream, (uint32_t)count);
    // What comes for a stream that we left was on its way.
    if (!stream) return;
    receive_payload(stream, bytes, count, now);
    if (!options.leave_after || stream->events != options.leave_after) return;
    put_number(shared, RST_STREAM, stream->number, CANCEL);
    close_stream(shared, stream);
    finish_response(stream);
}

static void receive_headers(struct shared *shared, struct connection *stream) {
    if (!(shared->flags & END_HEADERS) || shared->flags & PADDED) fail("a field block in an unexpected form");
    if (!stream) return;
    const uint8_t *field = shared->control, *const end = shared->control + shared->control_length;
    // Size updates of the table (RFC 7541 section 6.3) may stand first.
    while (field < end && (*field & 0xe0) == 0x20) {
        if ((*field++ & 0x1f) == 0x1f) {
            while (field < end && *field & 0x80) field++;
            field++;
        }
    }
    if (stream->state != WAITING || field >= end || *field != 0x88) fail("not the head of a 200");
    stream->state = IN_BODY;
}

static void receive_settings(struct shared *shared) {
    if (shared->flags & ACK) return;
    for (size_t index = 0; index + 6 <= shared->control_length; index += 6) {
        const uint8_t *const entry = shared->control + index;
        const uint32_t value = (uint32_t)entry[2] << 24 | (uint32_t)entry[3] << 16 | (uint32_t)entry[4] << 8 | entry[5];
        if (entry[1] == 1 && value < HEADER_TABLE) fail("a header table of %u bytes only", value);
        if (entry[1] == 3 && value < options.shared) fail("%u streams on a connection only", value);
    }
    put_frame(shared, SETTINGS, ACK, 0, NULL, 0);
}

static void end_frame(struct shared *shared) {
    const bool has_stream = shared->type == DATA_FRAME || shared->type == HEADERS || shared->type == RST_STREAM;
    struct connection *const stream = has_stream ? stream_of(shared, shared->number) : NULL;
    switch (shared->type) {
        case HEADERS: receive_headers(shared, stream); break;
        case SETTINGS: receive_settings(shared); break;
        case PING: if (!(shared->flags & ACK)) put_frame(shared, PING, ACK, 0, shared->control, shared->control_length); break;
        case RST_STREAM: if (stream) fail("a stream was reset with code %d", shared->control[3]); break;
        case GOAWAY: fail("a connection was ended with code %d", shared->control[7]); break;
        case PUSH_PROMISE:
        case CONTINUATION: fail("a frame of type %d", shared->type); break;
        default: break;
    }
    shared->header_length = 0;
    if (!stream || shared->type > HEADERS || !(shared->flags & END_STREAM)) return;
    close_stream(shared, stream);
    end_response(stream);
}

static void receive_frames(struct shared *shared, const char *bytes, size_t count, uint64_t now) {
    const char *const end = bytes + count;
    while (bytes < end || (shared->header_length == FRAME_HEADER && !shared->left)) {
        if (shared->header_length < FRAME_HEADER) {
            shared->header[shared->header_length++] = (uint8_t)*bytes++;
            if (shared->header_length < FRAME_HEADER) continue;
            const uint8_t *const header = shared->header;
            shared->left = (uint32_t)header[0] << 16 | (uint32_t)header[1] << 8 | header[2];
            shared->type = header[3];
            shared->flags = header[4];
            shared->number = ((uint32_t)header[5] << 24 | (uint32_t)header[6] << 16 | (uint32_t)header[7] << 8 | header[8]) & INT32_MAX;
            shared->control_length = 0;
            if (shared->left > CONTROL || (shared->type == DATA_FRAME && shared->flags & PADDED)) fail("a frame in an unexpected form");
        }
        const size_t piece = shared->left < (size_t)(end - bytes) ? shared->left : (size_t)(end - bytes);
        if (shared->type == DATA_FRAME) {
            if (piece) receive_data(shared, bytes, piece, now);
        } else {
            memcpy(shared->control + shared->control_length, bytes, piece);
            shared->control_length += piece;
        }
        bytes += piece;
        shared->left -= (uint32_t)piece;
        if (!shared->left) end_frame(shared);
    }
}

void receive_shared(struct shared *shared) {
    if (!shared->ready && !is_ready(shared)) return;
    for (;;) {
        errno = 0;
        const int count = SSL_read(shared->ssl, buffer, BUFFER);
        if (count <= 0) {
            if (SSL_get_error(shared->ssl, count) != SSL_ERROR_WANT_READ) fail("a connection ended: %s", strerror(errno));
            flush(shared);
            return;
        }
        receive_frames(shared, buffer, (size_t)count, now_ns());
    }
}
