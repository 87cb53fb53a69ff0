/*
 * Stands in for the network: for connect(), getaddrinfo() and what goes with them, also of client
 * libraries, as the dynamic linker takes those of a program first. Nothing leaves the process: each
 * name has an address, but those of .invalid (RFC 2606), and what is connected to is a pair of
 * sockets, whose other end replies with bytes of the fuzzer's.
 *
 * Threads begin when all wait, or when somebody waits for their end, on the thread that waits: the
 * same bytes do the same each time.
 *
 * Who uses it is linked with time.c and --wrap of pthread_create, pthread_join, ioctl
 * and curl_multi_add_handle (CMakeLists.txt).
 *
 * Threads: one.
 */
#ifndef BACKLOG_TEST_FUZZ_NETWORK_H
#define BACKLOG_TEST_FUZZ_NETWORK_H

#include <stddef.h>
#include <stdint.h>

enum { NETWORK_SEPARATOR = 0xff };

/* The bytes, which must outlive it, are replies with separators between. One is sent after each
 * write to any connection, and while all wait; of HTTP it is followed by the end of the connection,
 * as libcurl waits by the real clock. After the last one come the ends of connections, and new ones
 * are refused: all, where there are no bytes. */
void network_begin(const uint8_t *replies, size_t size);

/* Runs threads that nobody waited for. */
void network_end(void);

#endif
