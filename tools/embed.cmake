# Writes a file's bytes down in C: cmake -DSYMBOL=name -DFILE=bytes -DOUT=name.c -P embed.cmake
# gives `const unsigned char name[]` and `const size_t name_length`.
file(READ ${FILE} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR length "${digits} / 2")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "#include \"${SYMBOL}.h\"\n\nconst unsigned char ${SYMBOL}[] = {${bytes}};\nconst size_t ${SYMBOL}_length = ${length};\n")
string(REGEX REPLACE "c$" "h" header ${OUT})
file(WRITE ${header} "#include <stddef.h>\n\nextern const unsigned char ${SYMBOL}[];\nextern const size_t ${SYMBOL}_length;\n")
