// Of the load generator: clocks, what the kernel says of the watched processes, and samples with their quantiles.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

void fail(const char *format, ...) {
    va_list list;
    va_start(list, format);
    fprintf(stderr, "load, %s: ", phase_names[phase]);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    exit(1);
}

uint64_t clock_ns(clockid_t id) {
    struct timespec time;
    if (clock_gettime(id, &time)) fail("a clock cannot be read: %s", strerror(errno));
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

// The kernel's own account of a process, all threads, to the nanosecond: the same sum_exec_runtime as in /proc/PID/schedstat, but
// brought up to date for a thread that runs just now.
uint64_t processor_ns(pid_t process) {
    clockid_t id;
    int error = clock_getcpuclockid(process, &id);
    if (error) fail("process %d has gone: %s", process, strerror(error));
    return clock_ns(id);
}

uint64_t watched_ns(void) {
    uint64_t sum = 0;
    for (int index = 0; index < watched_count; index++) sum += processor_ns(watched[index]);
    return sum;
}

// How long the watched threads were ready to run while something else had their core: the second number of schedstat.
uint64_t waited_ns(void) {
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
long watched_memory(void) {
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

static long watched_status(const char *format) {
    long sum = 0;
    for (int index = 0; index < watched_count; index++) {
        char path[64], line[256];
        snprintf(path, sizeof path, "/proc/%d/status", watched[index]);
        FILE *file = fopen(path, "r");
        if (!file) fail("%s cannot be read: %s", path, strerror(errno));
        long size;
        while (fgets(line, sizeof line, file)) {
            if (sscanf(line, format, &size) == 1) sum += size;
        }
        fclose(file);
    }
    return sum;
}

long watched_resident(void) { return watched_status("VmRSS: %ld"); }

long watched_peak(void) { return watched_status("VmHWM: %ld"); }

void forget_peak(void) {
    for (int index = 0; index < watched_count; index++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/clear_refs", watched[index]);
        FILE *file = fopen(path, "w");
        // proc_pid_clear_refs(5)
        if (!file || fputs("5", file) < 0 || fclose(file)) fail("%s cannot be written: %s", path, strerror(errno));
    }
}

uint64_t written_bytes(pid_t process) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/io", process);
    FILE *file = fopen(path, "r");
    if (!file) fail("%s cannot be read: %s", path, strerror(errno));
    unsigned long long count = 0;
    while (fgets(line, sizeof line, file) && sscanf(line, "wchar: %llu", &count) != 1) {}
    fclose(file);
    return count;
}

void keep(struct samples *samples, uint64_t value) {
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

void print_samples(const char *name, struct samples *samples) {
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
