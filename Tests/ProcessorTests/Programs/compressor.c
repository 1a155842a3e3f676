// A small compressor: matches of a sliding window, then an adaptive binary range coder; and the way back.

static uint8_t text[600], packed[1200], coded[1600], unpacked[1200], restored[700];

static int find_matches(const uint8_t *in, int count, uint8_t *out) {
    int n = 0;
    for (int i = 0; i < count;) {
        int best = 0, distance = 0;
        for (int d = 1; d <= i && d < 48; d++) {
            int k = 0;
            while (k < 30 && i + k < count && in[i + k] == in[i + k - d]) k++;
            if (k > best) {
                best = k;
                distance = d;
            }
        }
        if (best >= 3) {
            out[n++] = (uint8_t)(0x80 | best);
            out[n++] = (uint8_t)distance;
            i += best;
        } else {
            out[n++] = in[i] & 0x7f;
            i++;
        }
    }
    return n;
}

static int expand(const uint8_t *in, int count, uint8_t *out) {
    int n = 0;
    for (int i = 0; i < count; i++) {
        if (in[i] & 0x80) {
            for (int k = in[i] & 0x7f, d = in[i + 1]; k > 0; k--, n++) out[n] = out[n - d];
            i++;
        } else out[n++] = in[i];
    }
    return n;
}

struct coder { uint64_t low; uint32_t range, code; uint8_t *at; int held; uint8_t cache; };

static void shift_out(struct coder *c) {
    if (c->low < 0xff000000u || c->low >> 32) {
        for (; c->held > 0; c->held--) {
            *c->at++ = (uint8_t)(c->cache + (c->low >> 32));
            c->cache = 0xff;
        }
        c->cache = (uint8_t)(c->low >> 24);
    }
    c->held++;
    c->low = (c->low & 0x00ffffff) << 8;
}

static void encode_bit(struct coder *c, uint16_t *p, int bit) {
    uint32_t bound = (c->range >> 11) * *p;
    if (bit) {
        c->low += bound;
        c->range -= bound;
        *p -= *p >> 5;
    } else {
        c->range = bound;
        *p += (2048 - *p) >> 5;
    }
    while (c->range < 1u << 24) {
        c->range <<= 8;
        shift_out(c);
    }
}

static int decode_bit(struct coder *c, uint16_t *p) {
    uint32_t bound = (c->range >> 11) * *p;
    int bit = c->code >= bound;
    if (bit) {
        c->code -= bound;
        c->range -= bound;
        *p -= *p >> 5;
    } else {
        c->range = bound;
        *p += (2048 - *p) >> 5;
    }
    while (c->range < 1u << 24) {
        c->range <<= 8;
        c->code = c->code << 8 | *c->at++;
    }
    return bit;
}

static uint64_t compressor(void) {
    static const char words[] = "guest host page validate measure report chip key ";
    static uint16_t chances[256];
    for (int i = 0; i < 600; i++) text[i] = (uint8_t)words[(uint32_t)next_random() % 3 ? i % 49 : i % 13];
    int n = find_matches(text, 600, packed);
    for (int i = 0; i < 256; i++) chances[i] = 1024;
    struct coder c = {.range = ~0u, .at = coded, .held = 1};
    for (int i = 0; i < n; i++)
        for (int k = 7, m = 1; k >= 0; k--) {
            int bit = packed[i] >> k & 1;
            encode_bit(&c, &chances[m], bit);
            m = m << 1 | bit;
        }
    for (int i = 0; i < 5; i++) shift_out(&c);
    int length = (int)(c.at - coded);
    for (int i = 0; i < 256; i++) chances[i] = 1024;
    struct coder d = {.range = ~0u, .at = coded + 1};
    for (int i = 0; i < 4; i++) d.code = d.code << 8 | *d.at++;
    for (int i = 0; i < n; i++) {
        int m = 1;
        while (m < 256) m = m << 1 | decode_bit(&d, &chances[m]);
        unpacked[i] = (uint8_t)m;
    }
    int back = expand(unpacked, n, restored);
    uint64_t sum = (uint64_t)n << 48 | (uint64_t)length << 32 | (uint64_t)(back == 600 && !memcmp(text, restored, 600)) << 63;
    for (int i = 0; i < length; i++) sum = sum * 5 + coded[i];
    return sum | 1;
}
