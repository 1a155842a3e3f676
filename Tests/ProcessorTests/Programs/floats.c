// Floating-point kernels: matrices, sums that compensate, Newton steps, conversions of every kind, a transform.

static double sine(double x) {
    double term = x, sum = x;
    for (int i = 1; i < 10; i++) {
        term *= -x * x / ((2 * i) * (2 * i + 1));
        sum += term;
    }
    return sum;
}

static double square_root(double x) {
    double y = x > 1 ? x / 2 : 1;
    for (int i = 0; i < 30; i++) y = (y + x / y) / 2;
    return y;
}

static uint64_t bits_of(double x) {
    uint64_t u;
    memcpy(&u, &x, 8);
    return u;
}
static uint32_t bits_of_single(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    return u;
}

static double unit(void) { return (double)(next_random() >> 11) / 9007199254740992.0; }

static uint64_t floats(void) {
    static double a[8][8], b[8][8], c[8][8], re[32], im[32];
    static float v[64], w[64];
    uint64_t sum = 0;
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) {
            a[i][j] = unit() - 0.5;
            b[i][j] = unit() * 100;
        }
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) {
            c[i][j] = 0;
            for (int k = 0; k < 8; k++) c[i][j] += a[i][k] * b[k][j];
        }
    for (int i = 0; i < 64; i++) sum = sum * 3 + bits_of(c[i / 8][i % 8]);
    double total = 0, lost = 0, largest = -1e300, least = 1e300;
    for (int i = 0; i < 200; i++) {
        double x = (unit() - 0.25) * (double)(1 << (i % 20)), y = x - lost, t = total + y;
        lost = (t - total) - y;
        total = t;
        if (x > largest) largest = x;
        least = x < least ? x : least;
    }
    sum ^= bits_of(total) ^ bits_of(largest) ^ rotate64(bits_of(least), 9);
    sum = sum * 7 + bits_of(square_root(2)) + bits_of(sine(1)) + bits_of(__builtin_fabs(sine(-0.5)));
    for (int i = 0; i < 64; i++) {
        v[i] = (float)unit() * (i % 2 ? -1.0f : 3.0f);
        w[i] = (float)(int32_t)next_random();
    }
    for (int i = 0; i < 64; i++) v[i] = v[i] * 1.5f + w[i] / (v[i] * v[i] + 1.0f);
    for (int i = 0; i < 64; i++) sum = sum * 11 + bits_of_single(v[i]);
    for (int i = 0; i < 40; i++) {
        double x = (unit() - 0.5) * 1e9;
        sum += (uint64_t)(int64_t)x ^ (uint64_t)(int32_t)x << 32 ^ (uint64_t)(x * x) ^ (uint32_t)(x < 0 ? -x : x);
        sum = sum * 13 + bits_of((double)(float)x) + bits_of((double)(uint64_t)next_random())
            + bits_of((double)(uint32_t)next_random()) + bits_of_single((float)(int64_t)next_random());
    }
    for (int i = 0; i < 32; i++) {
        re[i] = unit();
        im[i] = 0;
    }
    for (int half = 16; half >= 1; half /= 2)
        for (int group = 0; group < 32; group += 2 * half)
            for (int k = 0; k < half; k++) {
                double angle = 3.14159265358979323846 * k / half, s = sine(angle), co = sine(1.57079632679489661923 - angle);
                int p = group + k, q = p + half;
                double x = re[p] - re[q], y = im[p] - im[q];
                re[p] += re[q];
                im[p] += im[q];
                re[q] = x * co + y * s;
                im[q] = y * co - x * s;
            }
    for (int i = 0; i < 32; i++) sum = sum * 17 + bits_of(re[i]) + bits_of(im[i]);
    double zero = re[0] - re[0];
    sum += (uint64_t)(zero / 1 == 0) + 2 * (uint64_t)(1 / (zero - 0.0) > 1e308) + 4 * (uint64_t)(0 / zero != 0 / zero);
    return sum;
}
