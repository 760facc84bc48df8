// Of the load generator: requests that bring a bearer token each, one after the other of a file.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static char *lines[TOKENS];
static long count, next;
// Where the request's last field ends: the token's field stands behind it.
static size_t fields_length;
static char composed[sizeof request + TOKEN];

void read_tokens(const char *path) {
    FILE *const file = fopen(path, "r");
    if (!file) fail("%s cannot be read", path);
    char line[TOKEN];
    while (count < TOKENS && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!(lines[count++] = strdup(line))) fail("no memory");
    }
    fclose(file);
    if (!count) fail("%s holds no token", path);
    fields_length = request_length - 2;
}

const char *request_with_token(size_t *length) {
    memcpy(composed, request, fields_length);
    *length = fields_length + (size_t)snprintf(composed + fields_length, sizeof composed - fields_length, "Authorization: Bearer %s\r\n\r\n", lines[next]);
    next = (next + 1) % count;
    return composed;
}
