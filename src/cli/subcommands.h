/* The subcommands: each has a file of its own, and returns the exit code. argv[0] is its name. */
#ifndef BACKLOG_CLI_SUBCOMMANDS_H
#define BACKLOG_CLI_SUBCOMMANDS_H

int serve_main(int argc, char **argv);
int rehearse_main(int argc, char **argv);
int simulate_main(int argc, char **argv);
int reference_main(int argc, char **argv);
int agent_main(int argc, char **argv);

#endif
