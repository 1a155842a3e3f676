// Sorts: quicksort through a compare pointer, heap sort, merge sort, insertion sort of records, radix sort.

struct record { int16_t key; uint8_t tag; int64_t value; };

static int ascending(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}
static int descending(const void *a, const void *b) { return ascending(b, a); }

static void quicksort(int32_t *a, int count, int (*compare)(const void *, const void *)) {
    while (count > 1) {
        int32_t pivot = a[count / 2];
        int i = 0, j = count - 1;
        for (;;) {
            while (compare(&a[i], &pivot) < 0) i++;
            while (compare(&a[j], &pivot) > 0) j--;
            if (i >= j) break;
            int32_t t = a[i];
            a[i++] = a[j];
            a[j--] = t;
        }
        quicksort(a, i, compare);
        a += i;
        count -= i;
    }
}

static void heapsort_of(uint64_t *a, int count) {
    for (int end = count, start = count / 2; end > 1;) {
        if (start > 0) start--;
        else {
            uint64_t t = a[--end];
            a[end] = a[0];
            a[0] = t;
        }
        int root = start;
        for (int child; (child = 2 * root + 1) < end; root = child) {
            if (child + 1 < end && a[child] < a[child + 1]) child++;
            if (a[root] >= a[child]) break;
            uint64_t t = a[root];
            a[root] = a[child];
            a[child] = t;
        }
    }
}

static void mergesort_of(double *a, double *other, int count) {
    if (count < 2) return;
    int half = count / 2, i = 0, j = half;
    mergesort_of(a, other, half);
    mergesort_of(a + half, other, count - half);
    for (int k = 0; k < count; k++) other[k] = j >= count || (i < half && a[i] <= a[j]) ? a[i++] : a[j++];
    memcpy(a, other, (size_t)count * sizeof *a);
}

static void insertion(struct record *r, int count) {
    for (int i = 1; i < count; i++) {
        struct record t = r[i];
        int j = i;
        for (; j > 0 && (r[j - 1].key > t.key || (r[j - 1].key == t.key && r[j - 1].tag > t.tag)); j--) r[j] = r[j - 1];
        r[j] = t;
    }
}

static void radix(uint16_t *a, uint16_t *other, int count) {
    for (int shift = 0; shift < 16; shift += 4) {
        int counts[16] = {0}, places[16], sum = 0;
        for (int i = 0; i < count; i++) counts[a[i] >> shift & 15]++;
        for (int i = 0; i < 16; i++) {
            places[i] = sum;
            sum += counts[i];
        }
        for (int i = 0; i < count; i++) other[places[a[i] >> shift & 15]++] = a[i];
        memcpy(a, other, (size_t)count * sizeof *a);
    }
}

static uint64_t sorts(void) {
    static int32_t a[200];
    static uint64_t b[100];
    static double c[100], spare[100];
    static struct record d[40];
    static uint16_t e[200], other[200];
    uint64_t sum = 0;
    for (int i = 0; i < 200; i++) a[i] = (int32_t)next_random();
    quicksort(a, 200, ascending);
    for (int i = 1; i < 200; i++) sum = sum * 31 + (uint32_t)a[i] + (a[i - 1] > a[i] ? 1u << 30 : 0);
    quicksort(a, 100, descending);
    for (int i = 0; i < 100; i++) sum = sum * 33 + (uint32_t)a[i];
    for (int i = 0; i < 100; i++) b[i] = next_random();
    heapsort_of(b, 100);
    for (int i = 0; i < 100; i++) sum = sum * 35 ^ b[i];
    for (int i = 0; i < 100; i++) c[i] = (double)(int64_t)next_random() / 3;
    mergesort_of(c, spare, 100);
    for (int i = 0; i < 100; i++) sum = sum * 37 + (uint64_t)(int64_t)(c[i] / 1024);
    for (int i = 0; i < 40; i++) d[i] = (struct record){(int16_t)next_random(), (uint8_t)i, (int64_t)next_random()};
    insertion(d, 40);
    for (int i = 0; i < 40; i++) sum = sum * 39 + (uint64_t)d[i].value + d[i].tag;
    for (int i = 0; i < 200; i++) e[i] = (uint16_t)next_random();
    radix(e, other, 200);
    for (int i = 0; i < 200; i++) sum = sum * 41 + e[i];
    return sum;
}
