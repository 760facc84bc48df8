// Declarations of Linux calls that Swift's Glibc module leaves out, because it is compiled without
// _GNU_SOURCE. The functions are glibc's own, so there is nothing to link; those that are written out here are inlined.
#ifndef HEARTWIRE_CLINUX_H
#define HEARTWIRE_CLINUX_H

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

int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags);
int pipe2(int descriptors[2], int flags);
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
