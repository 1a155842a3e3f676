/* The bundled guests: their bytes, and how many. */
#ifndef CPLATFORM_GUESTS_H
#define CPLATFORM_GUESTS_H
#include <stddef.h>
#include <stdint.h>

const uint8_t *cp_guest_hello(size_t *count);
const uint8_t *cp_guest_convert(size_t *count);
const uint8_t *cp_guest_smp(size_t *count);
const uint8_t *cp_guest_misbehave(size_t *count);
const uint8_t *cp_guest_ticks(size_t *count);
#endif
