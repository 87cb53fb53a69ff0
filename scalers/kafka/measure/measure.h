/*
 * Measures: the path of a task from the feed to its reading.
 *
 *     phase                                                           files
 *
 *     gather    the task waits, so that tasks share requests: no      measure.c
 *               batch begins while one is under way that is younger
 *               than 10 ms. Then all that may be sent are a batch     batch.c
 *  1  metadata  the batch waits until the partitions and leaders of   progress.c, metadata.c,
 *               its topics are known                                  topics.c, patterns.c
 *  2  requests  each consumer group takes space (if there is none,    progress.c, space.c
 *               its tasks go back to the server). Then these are
 *               sent: a request per group for its commits             commits.c
 *               one for its members, if a policy needs consumers      members.c
 *               one per broker for latest offsets                     partitions.c, offsets.c
 *  3  commits   an answer has come. If it names topics that no task   progress.c
 *               of the group named, those without `topic` wait for
 *               their metadata as in phase 1
 *  4  offsets   an answer has come                                    progress.c
 *  5  reading   whatever is missing now is requested (back to 4):     progress.c, count.c
 *               an earliest offset, or again a latest offset that
 *               may be older than the commit. If nothing is missing   count.c, lag.c
 *               the lag is counted, and the task is answered          task_end.c
 *
 * Example: two triggers, with the groups g and h, count the topic orders: 12 partitions on 3
 * brokers. Phase 1 is one request for both. Phase 2 is five: two for commits, and three for latest
 * offsets, which serve both. The answers come in any order. If the coordinator of h hangs, the task
 * of g is answered nevertheless.
 *
 * A task fails as soon as a part of it fails, but for an offset: its error is found once the
 * commits are here. What outlives a call of kafka_measure() (handles, topics, histories) is the
 * session's (session.h).
 *
 * A task that cannot go on now waits here, or is returned to the server, which gives it out again.
 * What keeps it from coming round for ever is in the last column:
 *
 *     phase   why                                 the task              until
 *
 *     gather  its group has a call under way      waits                 the answer, or its deadline
 *     gather  its group is silent, and silent     waits; its time       one of these groups is
 *             groups have all of their space      begins later          answered, or times out
 *     gather  its group has committed nothing,    waits; its time       the end of the look-up
 *             and is looked up (group_types.h)    begins later
 *     gather  no memory for more tasks            is returned, and the  memory: of all tasks one
 *                                                 server gives fewer    begins in any case
 *       2     no space for its group              the same; it waits    space: it is reserved for
 *                                                 where it is reserved  the first group
 *       2     another batch has sent a request    is returned           it waits, as above
 *             for its group, or a silent group
 *             has taken the space
 *       2     the room of topics is an estimate   is returned           sizes: one topic more is
 *                                                                       known each time
 *       2     no memory for what its pattern      is returned           memory, which it waits for
 *             matches, as that is new                                   once the pattern is known
 *       2     its topics have no room             fails                 a renewal (session.h)
 *       3     its group turned silent, and        is returned, to be    its deadline: an isolated
 *             others need the space               isolated              group does not yield
 *       3     its group has committed nothing,    is returned           it waits, as above
 *             and may be a share group
 *      4, 5   a former leader was asked           is returned           newer metadata: with that
 *                                                                       it fails
 *      any    the server wants its place          is returned, to be    its turn there
 *                                                 isolated
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_MEASURE_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_MEASURE_H

#include "measure/scaler.h"

/* The hook of struct scaler; `client` is a struct kafka_session. */
bool kafka_measure(void *client, struct feed *feed, struct error *error);

#endif
