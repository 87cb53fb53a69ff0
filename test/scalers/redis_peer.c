#include "scalers/redis_peer.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { LONGEST_WORD = 1000 };

/* Reads one command: "*2", then "$4", "LLEN", "$4", "jobs". Keeps the first word. */
static bool read_command(FILE *input, char first[LONGEST_WORD])
{
    int words = 0;
    char word[LONGEST_WORD];
    if (fscanf(input, "*%d\r\n", &words) != 1)
        return false;
    for (int i = 0; i < words; i++)
        if (fscanf(input, "$%*d\r\n%999s", i == 0 ? first : word) != 1 || fgetc(input) != '\r' ||
            fgetc(input) != '\n')
            return false;
    return true;
}

static const char *find_answer(const struct redis_line *script, const char *command)
{
    for (; script->command != NULL; script++)
        if (strcmp(script->command, command) == 0)
            return script->answer;
    return "+OK\r\n";
}

static void serve(const struct redis_line *script, int call)
{
    FILE *input = fdopen(call, "r");
    if (input == NULL)
        abort();
    char command[LONGEST_WORD];
    while (read_command(input, command)) {
        const char *answer = find_answer(script, command);
        if (answer[0] != '\0' && send(call, answer, strlen(answer), MSG_NOSIGNAL) < 0)
            break;
    }
    fclose(input);
}

static void *run(void *argument)
{
    struct redis_peer *peer = argument;
    int call;
    while ((call = accept(peer->listener, NULL, NULL)) >= 0)
        serve(peer->script, call);
    return NULL;
}

void redis_peer_start(struct redis_peer *peer, const struct redis_line *script)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    *peer = (struct redis_peer){.script = script};
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(peer->listener >= 0);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(peer->listener, 4), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &size), 0);
    snprintf(peer->address, sizeof(peer->address), "127.0.0.1:%d", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&peer->thread, NULL, run, peer), 0);
}

void redis_peer_stop(struct redis_peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
}
