// Hash functions: table CRC-32, FNV-1a, Adler-32, SHA-256, a 64-bit mixer with multiplications and rotates.

static uint32_t crc_table[256];

static uint32_t crc32_of(const uint8_t *data, int count) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
        crc_table[i] = c;
    }
    uint32_t c = ~0u;
    for (int i = 0; i < count; i++) c = crc_table[(c ^ data[i]) & 255] ^ c >> 8;
    return ~c;
}

static uint64_t fnv1a(const uint8_t *data, int count) {
    uint64_t h = 0xcbf29ce484222325u;
    for (int i = 0; i < count; i++) h = (h ^ data[i]) * 0x100000001b3u;
    return h;
}

static uint32_t adler32(const uint8_t *data, int count) {
    uint32_t a = 1, b = 0;
    for (int i = 0; i < count; i++) {
        a = (a + data[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static uint64_t rotate64(uint64_t x, int n) { return x << n | x >> (64 - n); }

static uint64_t mix(const uint8_t *data, int count) {
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (int i = 0; i + 8 <= count; i += 8) {
        uint64_t k;
        memcpy(&k, data + i, 8);
        __extension__ unsigned __int128 product = (unsigned __int128)(k ^ h) * 0xd6e8feb86659fd93u;
        h = rotate64((uint64_t)product ^ (uint64_t)(product >> 64), 31) + (uint64_t)i;
    }
    return h;
}

static uint32_t rotate32(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void sha256_block(uint32_t *h, const uint8_t *p) {
    static const uint32_t k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotate32(a, 7) ^ rotate32(a, 18) ^ a >> 3) + w[i - 7]
            + (rotate32(b, 17) ^ rotate32(b, 19) ^ b >> 10);
    }
    for (int i = 0; i < 8; i++) s[i] = h[i];
    for (int i = 0; i < 64; i++) {
        uint32_t one = s[7] + (rotate32(s[4], 6) ^ rotate32(s[4], 11) ^ rotate32(s[4], 25))
            + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
        uint32_t two = (rotate32(s[0], 2) ^ rotate32(s[0], 13) ^ rotate32(s[0], 22))
            + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        for (int j = 7; j > 0; j--) s[j] = s[j - 1];
        s[4] += one;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++) h[i] += s[i];
}

static uint64_t hashes(void) {
    static uint8_t data[512];
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    for (int i = 0; i < 512; i++) data[i] = (uint8_t)next_random();
    for (int i = 0; i < 512; i += 64) sha256_block(h, data + i);
    return crc32_of(data, 512) ^ fnv1a(data, 511) ^ (uint64_t)adler32(data, 509) << 20 ^ mix(data, 512)
        ^ ((uint64_t)h[0] << 32 | h[7]) ^ ((uint64_t)h[3] << 11 | h[5]);
}
