#include "scalers/redis_peer.h"

#include "support/listener.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { MAX_WORD = 1000, KEPT_WORDS = 3 };

struct call {
    struct redis_peer *peer;
    int socket;
    size_t connection; /* from 1 on */
};

/* Reads one command: "*2", then "$4", "LLEN", "$4", "jobs". Keeps the first three words. */
static bool read_command(FILE *input, char first[KEPT_WORDS * MAX_WORD + 1])
{
    int words = 0;
    char word[MAX_WORD];
    size_t length = 0;
    first[0] = '\0';
    if (fscanf(input, "*%d\r\n", &words) != 1)
        return false;
    for (int i = 0; i < words; i++) {
        if (fscanf(input, "$%*d\r\n%999s", word) != 1 || fgetc(input) != '\r' ||
            fgetc(input) != '\n')
            return false;
        if (i < KEPT_WORDS)
            length += (size_t)snprintf(first + length, KEPT_WORDS * MAX_WORD + 1 - length, "%s%s",
                                       i > 0 ? " " : "", word);
    }
    return true;
}

static bool fits(const char *line, const char *command)
{
    size_t length = strlen(line);
    return strncmp(line, command, length) == 0 &&
           (command[length] == '\0' || command[length] == ' ');
}

static const struct redis_line *find_line(struct redis_peer *peer, const char *command,
                                          size_t connection)
{
    static const struct redis_line other = {.answer = "+OK\r\n"};
    for (size_t i = 0; peer->script[i].command != NULL; i++) {
        const struct redis_line *line = &peer->script[i];
        bool is_of_other = line->connection > 0 && line->connection != connection;
        bool is_used_up = line->times > 0 && peer->used[i] >= line->times;
        if (!fits(line->command, command) || is_of_other || is_used_up)
            continue;
        peer->used[i]++;
        return line;
    }
    return &other;
}

static bool send_text(int socket, const char *text)
{
    return send(socket, text, strlen(text), MSG_NOSIGNAL) >= 0;
}

static const struct redis_line *answer_to(const struct call *call, const char *command)
{
    struct redis_peer *peer = call->peer;
    pthread_mutex_lock(&peer->lock);
    if (fits("SUBSCRIBE", command))
        peer->subscriber = call->socket;
    const struct redis_line *line = find_line(peer, command, call->connection);
    if (line->push != NULL && peer->subscriber >= 0)
        send_text(peer->subscriber, line->push);
    pthread_mutex_unlock(&peer->lock);
    return line;
}

static void *serve(void *argument)
{
    struct call call = *(struct call *)argument;
    free(argument);
    int copy = dup(call.socket);
    FILE *input = copy < 0 ? NULL : fdopen(copy, "r");
    if (input == NULL)
        abort();
    char command[KEPT_WORDS * MAX_WORD + 1] = {0};
    bool is_silent = false;
    while (read_command(input, command)) {
        const struct redis_line *line = answer_to(&call, command);
        if (line->answer == NULL)
            break;
        usleep(1000 * (useconds_t)line->wait_ms);
        is_silent = is_silent || line->answer[0] == '\0';
        if (!is_silent && (!send_text(call.socket, line->answer) || line->hangs_up))
            break;
    }
    shutdown(call.socket, SHUT_RDWR);
    fclose(input);
    return NULL;
}

static void *run(void *argument)
{
    struct redis_peer *peer = argument;
    int socket;
    while ((socket = accept(peer->listener, NULL, NULL)) >= 0) {
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); /* as Redis */
        struct call *call = malloc(sizeof(*call));
        if (call == NULL || peer->connections == REDIS_PEER_CONNECTIONS)
            abort();
        *call = (struct call){peer, socket, peer->connections + 1};
        pthread_mutex_lock(&peer->lock);
        peer->sockets[peer->connections] = socket;
        pthread_create(&peer->threads[peer->connections++], NULL, serve, call);
        pthread_mutex_unlock(&peer->lock);
    }
    return NULL;
}

void redis_peer_start_at(struct redis_peer *peer, const char *address, int port,
                         const struct redis_line *script)
{
    *peer = (struct redis_peer){.script = script, .subscriber = -1};
    pthread_mutex_init(&peer->lock, NULL);
    peer->listener = listener_open_at(address, port, REDIS_PEER_CONNECTIONS, &peer->port);
    snprintf(peer->address, sizeof(peer->address), "%s:%d", address, peer->port);
    assert_int_equal(pthread_create(&peer->thread, NULL, run, peer), 0);
}

void redis_peer_start(struct redis_peer *peer, const struct redis_line *script)
{
    redis_peer_start_at(peer, "127.0.0.1", 0, script);
}

void redis_peer_stop(struct redis_peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    for (size_t i = 0; i < peer->connections; i++) {
        shutdown(peer->sockets[i], SHUT_RDWR);
        pthread_join(peer->threads[i], NULL);
        close(peer->sockets[i]);
    }
    pthread_mutex_destroy(&peer->lock);
}

int redis_peer_used(struct redis_peer *peer, size_t line)
{
    pthread_mutex_lock(&peer->lock);
    int used = peer->used[line];
    pthread_mutex_unlock(&peer->lock);
    return used;
}

size_t redis_peer_connections(struct redis_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    size_t connections = peer->connections;
    pthread_mutex_unlock(&peer->lock);
    return connections;
}
