#include "postgresql/places.h"

#include "base/clock.h"
#include "base/memory.h"
#include "shared/address.h"
#include "shared/address_time.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    MAX_ADDRESSES = 16,     /* of a host: each has a share of the time */
    MAX_SILENT_BYTES = 200, /* that are named in errors */
};

/* Where there is one more. */
static struct postgresql_place *insert(struct postgresql_places *places, size_t index)
{
    places->items =
        memory_grow(places->items, &places->capacity, places->count + 1, sizeof(*places->items));
    struct postgresql_place *place = &places->items[index];
    memmove(place + 1, place, (places->count++ - index) * sizeof(*place));
    *place = (struct postgresql_place){0};
    return place;
}

static void erase(struct postgresql_places *places, size_t index)
{
    struct postgresql_place *place = &places->items[index];
    free(place->host);
    free(place->address);
    free(place->port);
    memmove(place, place + 1, (--places->count - index) * sizeof(*place));
}

void postgresql_places_init(struct postgresql_places *ret_places, const char *hosts,
                            const char *ports)
{
    *ret_places = (struct postgresql_places){.current = SIZE_MAX};
    const char *rest = hosts;
    const char *rest_ports = ports;
    _cleanup_(memory_free) char *port = NULL;
    for (char *host; (host = text_take_piece(&rest, ",")) != NULL;) {
        char *next = text_take_piece(&rest_ports, ",");
        if (next != NULL) {
            free(port);
            port = next[0] == '\0' ? text_copy(POSTGRESQL_PORT) : text_copy(next);
            free(next);
        }
        struct postgresql_place *place = insert(ret_places, ret_places->count);
        size_t length = strlen(host);
        place->host = host;
        if (address_is_bracketed(host, length)) { /* libpq has them in URLs alone */
            place->host = text_copy_bytes(host + 1, length - 2);
            free(host);
        }
        place->port = text_copy(port);
    }
}

void postgresql_places_done(struct postgresql_places *places)
{
    while (places->count > 0)
        erase(places, places->count - 1);
    free(places->items);
    text_done(&places->silent);
    *places = (struct postgresql_places){0};
}

static bool has_dot(const struct postgresql_place *place)
{
    size_t length = strlen(place->host);
    return length > 1 && place->host[length - 1] == '.';
}

/* As it is given to libpq. */
static char *shown_host(const struct postgresql_places *places,
                        const struct postgresql_place *place)
{
    size_t length = strlen(place->host);
    bool is_cut = places->verifies_names && place->address != NULL && has_dot(place);
    return text_copy_bytes(place->host, is_cut ? length - 1 : length);
}

int postgresql_places_look_up(struct postgresql_places *places, size_t index)
{
    if (places->items[index].address != NULL)
        return 0;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(places->items[index].host, NULL, &hints, &found);
    if (code != 0)
        return code;

    const struct postgresql_place host = places->items[index];
    size_t count = 0;
    for (const struct addrinfo *each = found; each != NULL && count < MAX_ADDRESSES;
         each = each->ai_next) {
        char address[NI_MAXHOST];
        if (getnameinfo(each->ai_addr, each->ai_addrlen, address, sizeof(address), NULL, 0,
                        NI_NUMERICHOST) != 0)
            continue;
        struct postgresql_place *place = insert(places, index + count++);
        *place = (struct postgresql_place){text_copy(host.host), text_copy(address),
                                           text_copy(host.port)};
    }
    freeaddrinfo(found);
    if (count > 0)
        erase(places, index + count);
    return 0;
}

/* `count`: none of them. */
static size_t find(const struct postgresql_places *places, const PGconn *connection)
{
    size_t index = 0;
    for (; index < places->count; index++) {
        const struct postgresql_place *place = &places->items[index];
        _cleanup_(memory_free) char *host = shown_host(places, place);
        if (text_equal(host, PQhost(connection)) && text_equal(place->port, PQport(connection)) &&
            (place->address == NULL || text_equal(place->address, PQhostaddr(connection))))
            break;
    }
    return index;
}

static void start_again(struct postgresql_places *places)
{
    places->current = SIZE_MAX;
    places->tried = 0;
}

int64_t postgresql_places_deadline(struct postgresql_places *places, const PGconn *connection,
                                   int64_t deadline_ms)
{
    size_t index = find(places, connection);
    if (index == places->current)
        return places->current_deadline_ms;
    if (index < places->count && places->items[index].address == NULL) {
        postgresql_places_look_up(places, index);
        places->is_renamed = places->verifies_names && places->items[index].address != NULL &&
                             has_dot(&places->items[index]);
    }
    places->current = find(places, connection);
    size_t remaining = places->count > places->tried ? places->count - places->tried : 1;
    if (places->has_two_passes && places->count > 1)
        remaining++; /* the second finds one that answers soon, or none */
    places->tried++;
    places->current_deadline_ms = address_deadline(clock_now_ms(), deadline_ms, (int)remaining);
    return places->current_deadline_ms;
}

bool postgresql_places_take_renamed(struct postgresql_places *places)
{
    bool is_renamed = places->is_renamed;
    if (is_renamed)
        start_again(places);
    places->is_renamed = false;
    return is_renamed;
}

void postgresql_places_answered(struct postgresql_places *places, int64_t deadline_ms)
{
    places->current_deadline_ms = deadline_ms;
}

void postgresql_places_drop(struct postgresql_places *places, const PGconn *connection)
{
    const char *host = PQhost(connection);
    const char *address = PQhostaddr(connection);
    if (places->silent.length < MAX_SILENT_BYTES)
        text_addf(&places->silent, text_equal(host, address) ? "%s%s" : "%s%s (%s)",
                  places->silent.length == 0 ? "" : ", ", host, address);
    size_t index = find(places, connection);
    if (index < places->count)
        erase(places, index);
    start_again(places);
}

void postgresql_places_show(const struct postgresql_places *places, char **ret_hosts,
                            char **ret_addresses, char **ret_ports)
{
    struct text hosts = {0};
    struct text addresses = {0};
    struct text ports = {0};
    for (size_t i = 0; i < places->count; i++) {
        const struct postgresql_place *place = &places->items[i];
        const char *comma = i == 0 ? "" : ",";
        _cleanup_(memory_free) char *host = shown_host(places, place);
        text_addf(&hosts, "%s%s", comma, host);
        text_addf(&addresses, "%s%s", comma, place->address == NULL ? "" : place->address);
        text_addf(&ports, "%s%s", comma, place->port);
    }
    *ret_hosts = text_take(&hosts);
    *ret_addresses = text_take(&addresses);
    *ret_ports = text_take(&ports);
}
