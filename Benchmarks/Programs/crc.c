// CRC-32 by table over 1 MiB, again and again: a load that depends on the one before, shifts and XORs.
#include "program.h"

#define SIZE (1u << 20)

uint64_t work(void) {
    uint32_t *table = (uint32_t *)HEAP;
    uint8_t *data = HEAP + 4096;
    for (uint32_t value = 0; value < 256; value++) {
        uint32_t rest = value;
        for (int bit = 0; bit < 8; bit++) rest = rest >> 1 ^ (rest & 1 ? 0xedb88320u : 0);
        table[value] = rest;
    }
    for (uint32_t i = 0; i < SIZE; i++) data[i] = (uint8_t)(i * 13 + (i >> 9));
    uint32_t crc = ~0u;
    for (int round = 0; round < 40; round++)
        for (uint32_t i = 0; i < SIZE; i++) crc = table[(uint8_t)(crc ^ data[i])] ^ crc >> 8;
    return ~crc;
}
