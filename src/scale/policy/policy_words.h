/*
 * What a policy did, for people.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALE_POLICY_POLICY_WORDS_H
#define BACKLOG_SCALE_POLICY_POLICY_WORDS_H

#include "base/text.h"
#include "scale/policy/policy.h"

/* Adds "12 replicas: 6,900 waiting need 12 to start within 60 s at 10/s each; 81/s arriving need
 * 9". */
void policy_words_add(const struct policy_decision *decision, struct text *words);

#endif
