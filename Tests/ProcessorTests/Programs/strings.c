// String routines: lengths, searches, copies that overlap, numbers to text and back, a small pattern matcher, UTF-8.

static size_t length_of(const char *s) {
    const char *p = s;
    while (*p) p++;
    return (size_t)(p - s);
}

static const char *find(const char *text, const char *part) {
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && text[i] == part[i]) i++;
        if (!part[i]) return text;
    }
    return 0;
}

static int matches(const char *pattern, const char *text) {
    for (; *pattern; pattern++) {
        if (*pattern == '*') {
            do
                if (matches(pattern + 1, text)) return 1;
            while (*text++);
            return 0;
        }
        if (!*text || (*pattern != '?' && *pattern != *text)) return 0;
        text++;
    }
    return !*text;
}

static char *format(char *to, int64_t value, unsigned base) {
    char digits[66];
    int n = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do digits[n++] = "0123456789abcdefghijklmnopqrstuvwxyz"[rest % base];
    while (rest /= base);
    if (value < 0) *to++ = '-';
    while (n) *to++ = digits[--n];
    *to = 0;
    return to;
}

static int64_t parse(const char *s, int base) {
    int negative = *s == '-';
    uint64_t value = 0;
    for (s += negative; *s; s++) {
        int digit = *s >= 'a' ? *s - 'a' + 10 : *s - '0';
        value = value * (uint64_t)base + (uint64_t)digit;
    }
    return (int64_t)(negative ? 0 - value : value);
}

static int encode_scalar(uint32_t c, uint8_t *to) {
    if (c < 0x80) return to[0] = (uint8_t)c, 1;
    if (c < 0x800) return to[0] = (uint8_t)(0xc0 | c >> 6), to[1] = (uint8_t)(0x80 | (c & 63)), 2;
    if (c < 0x10000)
        return to[0] = (uint8_t)(0xe0 | c >> 12), to[1] = (uint8_t)(0x80 | (c >> 6 & 63)), to[2] = (uint8_t)(0x80 | (c & 63)), 3;
    to[0] = (uint8_t)(0xf0 | c >> 18);
    to[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    to[2] = (uint8_t)(0x80 | (c >> 6 & 63));
    to[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

static int classify(int c) {
    switch (c) {
    case 'a': case 'e': case 'i': case 'o': case 'u': return 1;
    case 'b': return 2;
    case 'c': return 17;
    case 'd': return 4;
    case 'f': return 100;
    case 'g': return -3;
    case 'h': return 8;
    case ' ': return 9;
    default: return 0;
    }
}

static uint64_t strings(void) {
    static char buffer[700], copy[700];
    uint64_t sum = 0;
    char *at = buffer;
    for (int i = 0; i < 24; i++) {
        int base = 2 + (int)((uint32_t)next_random() % 35);
        int64_t value = (int64_t)next_random() >> i % 50;
        char *start = at;
        if (at - buffer > 600) at = start = buffer;
        at = format(at, value, (unsigned)base);
        sum = sum * 3 + (uint64_t)(parse(start, base) == value);
        *at++ = ' ';
        *at = 0;
    }
    sum += length_of(buffer);
    memset(copy, 'x', sizeof copy);
    memmove(copy, buffer, length_of(buffer) + 1);
    memmove(copy + 3, copy, 200);
    memmove(copy, copy + 5, 190);
    copy[650] = 0;
    for (int i = 0; i < 650; i++) sum = sum * 31 + (uint8_t)copy[i];
    const char *found = find(copy, "x");
    sum += found ? (uint64_t)(found - copy) : 999;
    sum = sum * 2 + (uint64_t)matches("*va?id*page*d", "to validate a page is to say that it is owned");
    sum = sum * 2 + (uint64_t)matches("*va?id*page*x", "to validate a page is to say that it is owned");
    uint8_t scalar[4];
    for (uint32_t c = 0x41; c < 0x110000; c = c * 3 + 7)
        for (int i = 0, n = encode_scalar(c, scalar); i < n; i++) sum = sum * 33 ^ scalar[i];
    for (const char *p = "a big chief had a bad cage of ham"; *p; p++) sum = sum * 5 + (uint64_t)(int64_t)classify(*p);
    return sum;
}
