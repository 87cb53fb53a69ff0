/*
 * A certificate for tests in C: it signs itself, is for 127.0.0.1 and for the client "tester", and
 * lives in files as long as the test.
 *
 * Threads: one.
 */
#ifndef BACKLOG_TEST_CERTIFICATE_H
#define BACKLOG_TEST_CERTIFICATE_H

struct certificate {
    char folder[64];
    char path[96];     /* PEM */
    char key_path[96]; /* PEM */
    char *pem;
    char *key_pem;
};

void certificate_make(struct certificate *certificate);
void certificate_remove(struct certificate *certificate);

#endif
