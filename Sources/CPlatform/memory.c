#include "CPlatform.h"
#include <sys/mman.h>

void *cp_reserve(size_t size) {
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return NULL;
    cp_undo_note_reserved(p, size);
    return p;
}
void cp_release(void *base, size_t size) {
    if (cp_undo) cp_undo_forget(base, size);
    cp_undo_note_released(base);
    munmap(base, size);
}
void cp_populate(void *base, size_t size) {
#ifdef MADV_POPULATE_WRITE
    uintptr_t first = ((uintptr_t)base + 4095) & ~(uintptr_t)4095;
    uintptr_t end = ((uintptr_t)base + size) & ~(uintptr_t)4095;
    if (first < end) madvise((void *)first, end - first, MADV_POPULATE_WRITE);
#else
    (void)base, (void)size;
#endif
}
void cp_discard(void *base, size_t size) { madvise(base, size, MADV_DONTNEED); }

_Thread_local void *cp_explorer __attribute__((tls_model("initial-exec"))) = NULL;
