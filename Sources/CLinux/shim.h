// Declarations of Linux calls that Swift's Glibc module leaves out, because it is compiled without
// _GNU_SOURCE. The functions are glibc's own, so there is nothing to link; those that are written out here are inlined.
#ifndef HEARTWIRE_CLINUX_H
#define HEARTWIRE_CLINUX_H

#include <linux/memfd.h>
#include <malloc.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

// What the kernel knows of a TCP connection, as far as it is used here. It is Linux's own `struct tcp_info` since 4.9; glibc's ends
// before `pacing_rate`. An older kernel fills less of it and says how much.
struct tcp_information {
    uint8_t state, congestion_state, retransmits, probes, backoff, options, window_scales, flags;
    uint32_t retransmission_timeout, acknowledgement_timeout, sent_segment_size, received_segment_size;
    uint32_t unacknowledged, selectively_acknowledged, lost, retransmitted, forward_acknowledged;
    uint32_t last_data_sent, last_acknowledgement_sent, last_data_received, last_acknowledgement_received;
    uint32_t path_limit, receive_threshold, round_trip, round_trip_variance, send_threshold, send_window, advertised_size, reordering;
    uint32_t receive_round_trip, receive_space;
    uint32_t total_retransmits;
    uint64_t pacing_rate, most_pacing_rate, bytes_acknowledged, bytes_received;
    uint32_t segments_sent, segments_received;
    uint32_t unsent_bytes, least_round_trip, data_segments_received, data_segments_sent;
    uint64_t delivery_rate;
};
_Static_assert(offsetof(struct tcp_information, total_retransmits) == offsetof(struct tcp_info, tcpi_total_retrans), "as glibc has it");
_Static_assert(sizeof(struct tcp_information) == 168, "as Linux has it");

int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags);
int memfd_create(const char *name, unsigned int flags);
int pipe2(int descriptors[2], int flags);
ssize_t tee(int source, int target, size_t length, unsigned int flags);
ssize_t getrandom(void *buffer, size_t length, unsigned int flags);
int pthread_setname_np(unsigned long thread, const char *name);
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);

// The three calls of the steady path, asked of the kernel directly: in a process with threads, glibc's own functions announce
// before and after each that the thread may be cancelled there, at the price of two atomic operations. Nobody cancels threads here.
static inline ssize_t receive_bytes(int descriptor, void *bytes, size_t count) {
    return syscall(SYS_recvfrom, descriptor, bytes, count, 0, NULL, NULL);
}
static inline ssize_t send_bytes(int descriptor, const void *bytes, size_t count) {
    return syscall(SYS_sendto, descriptor, bytes, count, MSG_NOSIGNAL, NULL, 0);
}
static inline ssize_t send_pieces(int descriptor, const struct msghdr *message) {
    return syscall(SYS_sendmsg, descriptor, message, MSG_NOSIGNAL);
}

// The environment that a new process is given. Swift sees a global variable, and a global variable is not safe to it.
extern char **environ;
static inline char **current_environment(void) { return environ; }

// What waitid found. In C these are macros, for members of a union that Swift does not name.
static inline int ended_process(const siginfo_t *found) { return found->si_pid; }
static inline int ended_status(const siginfo_t *found) { return found->si_status; }

#endif
