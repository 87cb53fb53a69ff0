/*
 * Where a question goes: serverAddress taken apart, and the URL of a question.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_PROMETHEUS_URL_H
#define BACKLOG_SCALERS_PROMETHEUS_URL_H

#include "base/error.h"
#include "prometheus/options.h"

#include <stdbool.h>

struct prometheus_address {
    char *host_port; /* fit to be shown */
    char *base;      /* scheme://host:port/path, without user and without a slash at its end */
    char *user;      /* of the URL, decoded; NULL where it has none */
    char *password;
};

/* No error repeats any part of the URL: it may hold a password. */
bool prometheus_address_parse(const char *server_address, struct prometheus_address *ret_address,
                              struct error *error);
void prometheus_address_done(struct prometheus_address *address);

/* The caller frees it. */
char *prometheus_question(const struct prometheus_address *address,
                          const struct prometheus_query *query);

#endif
