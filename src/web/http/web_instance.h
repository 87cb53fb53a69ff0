/*
 * Which process of the server responds. Pods number their triggers differently, and have histories
 * of their own: a page cannot show responses of two pods together. So each response has the
 * instance as a header, as the hello of the dashboard's stream has it. The page refuses responses
 * of another instance than that of its hello (assets/state/instance.js).
 *
 * Threads: any; it does not change while the process runs.
 */
#ifndef BACKLOG_WEB_HTTP_WEB_INSTANCE_H
#define BACKLOG_WEB_HTTP_WEB_INSTANCE_H

#define WEB_INSTANCE_HEADER "Backlog-Instance"

/* Writes 16 hexadecimal digits, different ones in each process. */
enum { WEB_INSTANCE_BYTES = 17 };
const char *web_instance(char ret_text[WEB_INSTANCE_BYTES]);

#endif
