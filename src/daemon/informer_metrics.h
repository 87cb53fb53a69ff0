/*
 * What the informer knows and does, for /metrics and /readyz?verbose (--kubernetes).
 *
 * Threads: any. NULL: there is no informer, and nothing is written.
 */
#ifndef BACKLOG_DAEMON_INFORMER_METRICS_H
#define BACKLOG_DAEMON_INFORMER_METRICS_H

#include "base/text.h"
#include "kubernetes/informer/informer.h"

void informer_metrics_write(struct informer *informer, struct text *page);
void informer_metrics_write_lines(struct informer *informer, struct text *page);

#endif
