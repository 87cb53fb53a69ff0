# Writes ${OUT}, which says what commit ${SOURCE} is, where that has changed: ${COMMIT}, or what git says.
if(NOT COMMIT)
  execute_process(
    COMMAND git -C ${SOURCE} describe --always --dirty --exclude=* --abbrev=12
    OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT COMMIT)
  set(COMMIT unknown)
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#define BACKLOG_COMMIT \"${COMMIT}\"\n")
