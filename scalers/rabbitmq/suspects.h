/*
 * Queues that were missing, hung or did not tell the last time: they are asked where they hold nobody up.
 *
 * Threads: one at a time. Owner: whoever has the pointer to them, which is NULL while there are none.
 */
#ifndef BACKLOG_RABBITMQ_SUSPECTS_H
#define BACKLOG_RABBITMQ_SUSPECTS_H

#include <stdbool.h>

struct suspect;

bool suspects_have(const struct suspect *suspects, const char *queue);
void suspects_add(struct suspect **suspects, const char *queue);
void suspects_drop(struct suspect **suspects, const char *queue);
void suspects_forget(struct suspect **suspects);

#endif
