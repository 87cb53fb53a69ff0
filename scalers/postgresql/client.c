#include "postgresql/client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "postgresql/options.h"
#include "postgresql/parameters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

enum { MAX_WORDS = 300 };

/* libpq's words have several lines, the later ones indented. */
static char *one_line(const char *words)
{
    char *line = text_copy_bytes(words, text_cut(words, MAX_WORDS));
    char *to = line;
    for (const char *from = line; *from != '\0'; from++) {
        bool space = strchr(" \t\r\n", *from) != NULL;
        if (!space)
            *to++ = *from;
        else if (to > line && to[-1] != ' ')
            *to++ = ' ';
    }
    while (to > line && to[-1] == ' ')
        to--;
    *to = '\0';
    return line;
}

bool postgresql_client_broken(const struct postgresql_client *client,
                              const struct postgresql_session *session, struct error *error)
{
    _cleanup_(memory_free) char *words = one_line(PQerrorMessage(session->connection));
    bool is_unverified = strstr(words, "certificate verify failed") != NULL ||
                         strstr(words, "does not match host name") != NULL;
    return error_unavailable(
        error, "PostgreSQL at %s: %s%s", client->address,
        words[0] == '\0' ? "the connection was closed" : words,
        is_unverified ? ": set ca to the certificates of its authority, and name the host as its "
                        "certificate does; sslmode: require without ca verifies nothing"
                      : "");
}

bool postgresql_client_silent(const struct postgresql_client *client, struct error *error)
{
    return error_unavailable(error, "PostgreSQL at %s: no answer in time", client->address);
}

size_t postgresql_client_count(const struct postgresql_client *client,
                               enum postgresql_session_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < client->max_sessions; i++)
        count += client->sessions[i].state == state;
    return count;
}

void postgresql_queue_add(struct postgresql_queue *queue, struct task *task)
{
    task->data = queue;
    task->queued_ms = clock_now_ms();
    DL_APPEND(queue->tasks, task);
    queue->count++;
}

void postgresql_queue_remove(struct postgresql_queue *queue, struct task *task)
{
    DL_DELETE(queue->tasks, task);
    task->data = NULL;
    queue->count--;
}

bool postgresql_client_open(struct postgresql_client *client, struct postgresql_session *session,
                            struct error *error)
{
    _cleanup_(postgresql_parameters_done) struct postgresql_parameters parameters = {0};
    if (!postgresql_parameters_make(client->options, &parameters, error))
        return false;
    char ca[sizeof("/proc/self/fd/") + 20];
    snprintf(ca, sizeof(ca), "/proc/self/fd/%d", client->ca);
    if (client->ca >= 0)
        postgresql_parameters_set(&parameters, "sslrootcert", ca);
    postgresql_parameters_set(&parameters, "host", client->host);
    postgresql_parameters_set(&parameters, "hostaddr", client->hostaddr);
    postgresql_parameters_set(&parameters, "port", client->port);
    return postgresql_session_open(session, &parameters, error);
}

void postgresql_client_disconnect(void *opaque)
{
    struct postgresql_client *client = opaque;
    for (size_t i = 0; i < POSTGRESQL_MAX_SESSIONS; i++)
        postgresql_session_close(&client->sessions[i], 0);
    if (client->ca >= 0)
        close(client->ca);
    free(client->address);
    free(client->host);
    free(client->hostaddr);
    free(client->port);
    free(client);
}
