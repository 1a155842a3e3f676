#ifndef RAMPART_CPLATFORM_TERMINAL_H
#define RAMPART_CPLATFORM_TERMINAL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Puts a terminal into raw mode; 0 or an error number. It is put back by cp_terminal_leave, at exit, and before a signal ends or
   stops the process. */
int cp_terminal_enter(int fd);
void cp_terminal_leave(void);

#define CP_READ_NOTHING (-1)
#define CP_READ_END (-2)

/* Reads what is there, and waits for it so long; for ever if that is negative. The count, or one of the two above. */
ssize_t cp_read_waiting(int fd, uint8_t *bytes, size_t count, int64_t milliseconds);

#endif
