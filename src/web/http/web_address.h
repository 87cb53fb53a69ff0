/*
 * Addresses of clients: limits are shared out by them, so that one client cannot take what is for
 * all.
 *
 * Threads: any.
 */
#ifndef BACKLOG_WEB_HTTP_WEB_ADDRESS_H
#define BACKLOG_WEB_HTTP_WEB_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

enum { WEB_ADDRESS_BYTES = 16 };

/* An IPv4 address is mapped into IPv6. Of an IPv6 address only the first half is kept, since one
 * host may have all of the second. */
struct web_address {
    unsigned char bytes[WEB_ADDRESS_BYTES];
};

/* The address of the client at a socket; zero where the client has gone already. */
struct web_address web_address_of(int fd);

/* Writes the address for people: "10.0.0.7", "2001:db8:1:2::/64". */
enum { WEB_ADDRESS_TEXT_BYTES = 64 };
const char *web_address_text(const struct web_address *address,
                             char ret_text[WEB_ADDRESS_TEXT_BYTES]);

/* How many of `all` are `address`. */
size_t web_address_count(const struct web_address *all, size_t count,
                         const struct web_address *address);

/* The index of the first address of those that are there most often. */
size_t web_address_commonest(const struct web_address *all, size_t count);

#endif
