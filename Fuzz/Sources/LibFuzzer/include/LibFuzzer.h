// libFuzzer as a library: it has no header of its own.

#pragma once

#include <stddef.h>
#include <stdint.h>

/// Fuzzes `target` as the arguments say; what libFuzzer's own main does.
int LLVMFuzzerRunDriver(int *count, char ***arguments, int (*target)(const uint8_t *start, size_t count));
