// Declarations of Linux calls that Swift's Glibc module leaves out, because it is compiled without
// _GNU_SOURCE. Declarations only: the functions are glibc's own, so there is nothing to link.
#ifndef HEARTWIRE_CLINUX_H
#define HEARTWIRE_CLINUX_H

#include <malloc.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags);
int pipe2(int descriptors[2], int flags);
ssize_t getrandom(void *buffer, size_t length, unsigned int flags);
int pthread_setname_np(unsigned long thread, const char *name);
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);

// The environment that a new process is given. Swift sees a global variable, and a global variable is not safe to it.
extern char **environ;
static inline char **current_environment(void) { return environ; }

#endif
