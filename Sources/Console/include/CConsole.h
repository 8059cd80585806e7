// The console's page, as its files stand in the folder beside this: they are part of the program, byte for byte.
#ifndef CCONSOLE_H
#define CCONSOLE_H

#include <stddef.h>

/// One file of the page.
struct console_file {
  /// Its name in the folder, such as `views/talk.js`.
  const char *name;
  /// Its bytes, and how many they are.
  const unsigned char *bytes;
  size_t count;
};

/// How many files there are.
size_t console_file_count(void);

/// The file at a place, from 0; NULL behind the last.
const struct console_file *console_file_at(size_t place);

#endif
