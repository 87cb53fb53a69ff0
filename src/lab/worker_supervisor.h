/*
 * The process of one worker: it leads the worker's process group, has a shell run the command, and
 * ends when no process is left that this has started, not even one that has left the group.
 *
 * On SIGTERM it has the whole group end (SIGTERM) and waits for it. On SIGHUP, which is also sent
 * when the rehearsal has died, and when the shell ends without SIGTERM, it kills what is left.
 *
 * Threads: a process of its own, with one.
 */
#ifndef BACKLOG_LAB_WORKER_SUPERVISOR_H
#define BACKLOG_LAB_WORKER_SUPERVISOR_H

/* It begins as `backlog run-worker -- PARENT COMMAND`, an internal command. */
#define WORKER_SUPERVISOR_COMMAND "run-worker"

/* `parent`: the process whose worker this is. Returns an exit status only where the shell could not
 * be started; otherwise it ends the process. */
int worker_supervisor_run(const char *parent, const char *command);

#endif
