/*
 * Addresses of clients: limits are shared out by them, so that one client cannot take what is for
 * all.
 *
 * Threads: any.
 */
#ifndef BACKLOG_WEB_HTTP_ADDRESS_H
#define BACKLOG_WEB_HTTP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

enum { WEB_ADDRESS_BYTES = 16 };

/* IPv4 as a mapped IPv6 address. Of IPv6 the first half: one host may have all of the second. */
struct web_address {
    unsigned char bytes[WEB_ADDRESS_BYTES];
};

/* Of the other end of a socket; zeros where it has gone already. */
struct web_address web_address_of(int fd);

/* For people: "10.0.0.7", "2001:db8:1:2::/64". */
enum { WEB_ADDRESS_TEXT_BYTES = 64 };
const char *web_address_text(const struct web_address *address,
                             char ret_text[WEB_ADDRESS_TEXT_BYTES]);

/* How many of these are this one. */
size_t web_address_count(const struct web_address *all, size_t count,
                         const struct web_address *address);

/* The first of those of which there are the most. */
size_t web_address_commonest(const struct web_address *all, size_t count);

#endif
