/* The guests of Guests/bin, as part of the program. */
#include "CPlatformGuests.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const uint8_t hello[] = {
#embed "../../Guests/bin/hello.elf"
};
static const uint8_t convert[] = {
#embed "../../Guests/bin/convert.elf"
};
static const uint8_t smp[] = {
#embed "../../Guests/bin/smp.elf"
};
static const uint8_t misbehave[] = {
#embed "../../Guests/bin/misbehave.elf"
};
static const uint8_t ticks[] = {
#embed "../../Guests/bin/ticks.elf"
};

#define GUEST(name) \
    const uint8_t *cp_guest_##name(size_t *count) { \
        *count = sizeof(name); \
        return name; \
    }
GUEST(hello)
GUEST(convert)
GUEST(smp)
GUEST(misbehave)
GUEST(ticks)
