// Of the load generator: clients that all leave and come back at once, each with the id of the last event that it has read, as an
// EventSource would. None may lack an event of the meantime or have one twice; how long it takes until the last of them is live again.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

static long live, memory_live, memory_away;
static uint64_t returned_ns, missed;
static struct samples returns;

static void note_line(struct place *place) {
    place->line[place->line_length] = 0;
    if (!strncmp(place->line, "id: ", 4)) {
        memcpy(place->next_id, place->line + 4, (size_t)place->line_length - 3);
    } else if (!strncmp(place->line, "data: @", 7)) {
        char number[9] = {0};
        memcpy(number, place->line + 7 + 16, 8);
        place->next_expected = (uint32_t)strtoul(number, NULL, 16) + 1;
    } else if (!place->line_length) {
        memcpy(place->id, place->next_id, ID);
        place->expected = place->next_expected;
    }
    place->line_length = 0;
}

// Of an event's data only the beginning is looked at; ids are short.
void note_id(struct connection *connection, const char *bytes, size_t count) {
    struct place *const place = &connection->place;
    for (const char *const end = bytes + count; bytes < end; bytes++) {
        if (*bytes == '\n') note_line(place);
        else if (place->line_length < ID - 1) place->line[place->line_length++] = *bytes;
    }
}

void leave_all(void) {
    memory_live = watched_resident();
    for (long index = 0; index < options.streams; index++) {
        if (!connections[index].place.id[0]) fail("a stream has no id with which its client could come back");
        close(connections[index].fd);
    }
}

const char *request_with_id(const struct connection *connection, size_t *length) {
    static char text[sizeof request + ID + 32];
    // In front of the blank line.
    *length = (size_t)sprintf(text, "%.*sLast-Event-ID: %s\r\n\r\n", (int)request_length - 2, request, connection->place.id);
    return text;
}

void return_all(void) {
    memory_away = watched_resident();
    forget_peak();
    returned_ns = now_ns();
    for (long index = 0; index < options.streams; index++) start(&connections[index]);
}

void note_live(struct connection *connection, uint64_t now) {
    if (connection->place.is_live) return;
    if (connection->stamp < returned_ns) {
        missed++;
        return;
    }
    connection->place.is_live = true;
    live++;
    keep(&returns, now - returned_ns);
}

bool all_are_live(void) { return live == options.streams; }

void print_crowd(void) {
    printf(", \"missed\": %lu, \"memory_live_kib\": %ld, \"memory_away_kib\": %ld, \"memory_peak_kib\": %ld", missed, memory_live,
           memory_away, watched_peak());
    print_samples("return", &returns);
}
