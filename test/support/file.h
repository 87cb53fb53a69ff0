/* Files for tests in C. */
#ifndef BACKLOG_TEST_FILE_H
#define BACKLOG_TEST_FILE_H

/* Makes the file, or replaces it; fails the test where it cannot. */
void write_file(const char *path, const char *content);

#endif
