// Integer corners: division of every width, 128-bit arithmetic, shifts by variables, bit counts, structures by value.

struct pair { uint64_t low, high; };
struct small { int8_t a; int16_t b; int32_t c; };

static struct pair multiply(struct pair x, struct pair y) {
    __extension__ typedef unsigned __int128 wide;
    wide p = ((wide)x.high << 64 | x.low) * ((wide)y.high << 64 | y.low);
    return (struct pair){(uint64_t)p, (uint64_t)(p >> 64)};
}

static struct small shrink(int64_t x) { return (struct small){(int8_t)x, (int16_t)(x >> 8), (int32_t)(x >> 24)}; }

static uint64_t fibonacci(int n) { return n < 2 ? (uint64_t)n : fibonacci(n - 1) + fibonacci(n - 2); }

static uint64_t integers(void) {
    uint64_t sum = fibonacci(14);
    struct pair p = {3, 1};
    for (int i = 0; i < 120; i++) {
        uint64_t x = next_random(), y = next_random() | 1;
        int64_t sx = (int64_t)x, sy = (int64_t)(y >> i % 60) | 1;
        sum += x / (y >> i % 60 | 1) + x % (y >> i % 48 | 1);
        sum ^= (uint64_t)(sx / (sy == -1 ? 3 : sy)) + (uint64_t)(sx % (sy == -1 ? 3 : sy));
        sum += (uint64_t)(int64_t)((int32_t)x / ((int16_t)y == 0 ? 1 : (int16_t)y == -1 ? 2 : (int16_t)y));
        sum += (uint32_t)x / ((uint8_t)y | 1) + (uint16_t)x % ((uint16_t)y | 3) + (uint8_t)x / ((uint8_t)y | 1);
        sum = rotate64(sum, i % 63 + 1) ^ x << (y & 63) ^ (uint64_t)(sx >> (x & 63)) ^ (uint32_t)y >> (x & 31);
        sum += (uint64_t)__builtin_popcountll(x) + (uint64_t)__builtin_clzll(y) * 3 + (uint64_t)__builtin_ctzll(x | 1u << 20) * 5
            + (uint64_t)__builtin_bswap32((uint32_t)x) + __builtin_bswap64(y) + (uint64_t)__builtin_parityll(x);
        p = multiply(p, (struct pair){x, y});
        struct small s = shrink(sx);
        sum += (uint64_t)(int64_t)(s.a * s.b + s.c) + (s.a < s.b) * 8u + (s.b <= s.c) * 16u + ((uint8_t)s.a > (uint16_t)s.b);
        int32_t overflowed;
        if (__builtin_add_overflow((int32_t)x, (int32_t)y, &overflowed)) sum++;
        if (__builtin_mul_overflow((int32_t)x, (int32_t)y >> 9, &overflowed)) sum += 2;
        sum = i % 3 == 0 ? sum - (uint32_t)overflowed : i % 5 == 0 ? ~sum : 0 - sum;
    }
    return sum ^ p.low ^ p.high;
}
