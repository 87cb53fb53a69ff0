/*
 * The gRPC C core, loaded when the transport starts. Linked, its 64 libraries would cost every
 * process of the program 5 MiB and 10 ms, and most of them never call it: agents, commands, and
 * servers on nghttp2.
 *
 * Threads: core_library_load() first; then any.
 */
#ifndef BACKLOG_SERVE_GRPC_CORE_LIBRARY_H
#define BACKLOG_SERVE_GRPC_CORE_LIBRARY_H

#include "base/error.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>

/* All functions of it that the transport calls. */
#define CORE_FUNCTIONS(FUNCTION)                                                                   \
    FUNCTION(gpr_free)                                                                             \
    FUNCTION(gpr_inf_future)                                                                       \
    FUNCTION(gpr_now)                                                                              \
    FUNCTION(gpr_set_log_function)                                                                 \
    FUNCTION(gpr_time_add)                                                                         \
    FUNCTION(gpr_time_cmp)                                                                         \
    FUNCTION(gpr_time_from_millis)                                                                 \
    FUNCTION(gpr_time_sub)                                                                         \
    FUNCTION(gpr_time_to_millis)                                                                   \
    FUNCTION(grpc_auth_context_find_properties_by_name)                                            \
    FUNCTION(grpc_auth_context_peer_is_authenticated)                                              \
    FUNCTION(grpc_auth_context_release)                                                            \
    FUNCTION(grpc_auth_property_iterator_next)                                                     \
    FUNCTION(grpc_byte_buffer_destroy)                                                             \
    FUNCTION(grpc_byte_buffer_reader_destroy)                                                      \
    FUNCTION(grpc_byte_buffer_reader_init)                                                         \
    FUNCTION(grpc_byte_buffer_reader_readall)                                                      \
    FUNCTION(grpc_call_auth_context)                                                               \
    FUNCTION(grpc_call_cancel)                                                                     \
    FUNCTION(grpc_call_details_destroy)                                                            \
    FUNCTION(grpc_call_details_init)                                                               \
    FUNCTION(grpc_call_error_to_string)                                                            \
    FUNCTION(grpc_call_failed_before_recv_message)                                                 \
    FUNCTION(grpc_call_start_batch)                                                                \
    FUNCTION(grpc_call_unref)                                                                      \
    FUNCTION(grpc_channel_create_call)                                                             \
    FUNCTION(grpc_channel_destroy)                                                                 \
    FUNCTION(grpc_completion_queue_create_for_next)                                                \
    FUNCTION(grpc_completion_queue_destroy)                                                        \
    FUNCTION(grpc_completion_queue_next)                                                           \
    FUNCTION(grpc_completion_queue_shutdown)                                                       \
    FUNCTION(grpc_empty_slice)                                                                     \
    FUNCTION(grpc_init)                                                                            \
    FUNCTION(grpc_insecure_server_credentials_create)                                              \
    FUNCTION(grpc_lame_client_channel_create)                                                      \
    FUNCTION(grpc_metadata_array_destroy)                                                          \
    FUNCTION(grpc_metadata_array_init)                                                             \
    FUNCTION(grpc_raw_byte_buffer_create)                                                          \
    FUNCTION(grpc_server_add_http2_port)                                                           \
    FUNCTION(grpc_server_cancel_all_calls)                                                         \
    FUNCTION(grpc_server_create)                                                                   \
    FUNCTION(grpc_server_credentials_release)                                                      \
    FUNCTION(grpc_server_destroy)                                                                  \
    FUNCTION(grpc_server_register_completion_queue)                                                \
    FUNCTION(grpc_server_request_call)                                                             \
    FUNCTION(grpc_server_shutdown_and_notify)                                                      \
    FUNCTION(grpc_server_start)                                                                    \
    FUNCTION(grpc_shutdown)                                                                        \
    FUNCTION(grpc_slice_from_copied_buffer)                                                        \
    FUNCTION(grpc_slice_from_static_string)                                                        \
    FUNCTION(grpc_slice_to_c_string)                                                               \
    FUNCTION(grpc_slice_unref)                                                                     \
    FUNCTION(grpc_ssl_server_certificate_config_create)                                            \
    FUNCTION(grpc_ssl_server_credentials_create_options_using_config_fetcher)                      \
    FUNCTION(grpc_ssl_server_credentials_create_with_options)                                      \
    FUNCTION(grpc_version_string)
#define CORE_FUNCTION_POINTER(name) __typeof__(name) *name;
struct core_library {
    CORE_FUNCTIONS(CORE_FUNCTION_POINTER)
};

/* Empty until it is loaded. */
extern struct core_library core;

bool core_library_load(struct error *error);

#endif
