# What makes a mistake in memory hard to exploit, in optimized builds. test/image looks for each in the program.
# The sanitizers have checks of their own.

set(optimized $<NOT:$<CONFIG:Debug>>)
if(NOT BACKLOG_SANITIZE)
  add_compile_options($<${optimized}:-fPIE> $<${optimized}:-fstack-clash-protection>
    "$<${optimized}:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=3>")
  add_link_options($<${optimized}:-pie> "$<${optimized}:LINKER:-z,relro,-z,now,-z,noexecstack>")
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
    add_compile_options($<${optimized}:-fcf-protection=full>)
    # Debian's start files are not marked as fit for shadow stacks, though they are, and the linker would not mark the
    # program. They are not fit for indirect branch tracking, so that mark stays with our object files.
    add_link_options($<${optimized}:LINKER:-z,shstk>)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    add_compile_options($<${optimized}:-mbranch-protection=standard>)
  endif()
endif()
