// What Swift cannot say: single instructions, the frame of an exception, and the image's own areas.
//
// An instruction that may fault on purpose is listed in the table of fix-ups: the handler then puts a fault code into RAX,
// clears CF and goes on behind the instruction.

#ifndef RAMPART_GUEST_HARDWARE_H
#define RAMPART_GUEST_HARDWARE_H

#include <stdint.h>

// What the entry stubs push, lowest address first.
struct exception_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

// An instruction that may fault, and where to go on. Start.S and Guest.ld make the table of them.
struct fixup {
    uint64_t instruction, resume;
};

#define GUEST_MAY_FAULT(instruction) \
    "1: " instruction "\n" \
    "2:\n" \
    ".pushsection .fixups, \"a\"\n" \
    ".quad 1b, 2b\n" \
    ".popsection\n"

// --- SEV-SNP

static inline uint64_t ghcb_msr(void) {
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0xc0010130));
    return (uint64_t)high << 32 | low;
}

static inline void set_ghcb_msr(uint64_t value) {
    __asm__ volatile("wrmsr" : : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(0xc0010130) : "memory");
}

static inline void vmgexit(void) { __asm__ volatile("rep; vmmcall" : : : "memory"); }

static inline uint64_t sev_status(void) {
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0xc0010131));
    return (uint64_t)high << 32 | low;
}

// EAX, with bit 8 for CF: the page already had that state.
static inline uint32_t pvalidate(uint64_t address, uint32_t size, uint32_t validate) {
    uint64_t status = address;
    uint8_t unchanged;
    __asm__ volatile(
        GUEST_MAY_FAULT(".byte 0xf2, 0x0f, 0x01, 0xff")
        "setc %1"
        : "+a"(status), "=q"(unchanged)
        : "c"(size), "d"(validate)
        : "memory", "cc");
    return (uint32_t)status | (uint32_t)unchanged << 8;
}

// EAX. Attributes: the target VMPL in bits 7:0, its permissions in bits 15:8, "is a VMSA" in bit 16.
static inline uint32_t rmpadjust(uint64_t address, uint64_t size, uint64_t attributes) {
    uint64_t status = address;
    __asm__ volatile(
        GUEST_MAY_FAULT(".byte 0xf3, 0x0f, 0x01, 0xfe")
        : "+a"(status)
        : "c"(size), "d"(attributes)
        : "memory", "cc");
    return (uint32_t)status;
}

// --- Instructions that may fault; the result is the fault code, 0 for none

static inline uint32_t probe_read(uint64_t address, uint8_t *value) {
    uint64_t fault = 0;
    uint8_t byte = 0;
    __asm__ volatile(GUEST_MAY_FAULT("movb (%2), %1") : "+a"(fault), "+q"(byte) : "r"(address) : "memory", "cc");
    *value = byte;
    return (uint32_t)fault;
}

static inline uint32_t probe_write(uint64_t address, uint8_t value) {
    uint64_t fault = 0;
    __asm__ volatile(GUEST_MAY_FAULT("movb %1, (%2)") : "+a"(fault) : "q"(value), "r"(address) : "memory", "cc");
    return (uint32_t)fault;
}

// The low half of the register is lost when the fault is taken: RAX is where both go.
static inline uint32_t probe_read_msr(uint32_t index, uint64_t *value) {
    uint64_t rax = 0, rdx = 0xffffffffffffffff;
    __asm__ volatile(GUEST_MAY_FAULT("rdmsr") : "+a"(rax), "+d"(rdx) : "c"(index) : "memory", "cc");
    if (rdx == 0xffffffffffffffff) return (uint32_t)rax;
    *value = rdx << 32 | (uint32_t)rax;
    return 0;
}

static inline uint32_t probe_write_msr(uint32_t index, uint64_t value) {
    uint64_t rax = (uint32_t)value, before = rax;
    __asm__ volatile(GUEST_MAY_FAULT("wrmsr") : "+a"(rax) : "c"(index), "d"(value >> 32) : "memory", "cc");
    return rax == before ? 0 : (uint32_t)rax;
}

// --- Ordinary instructions

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_result cpuid(uint32_t function, uint32_t index) {
    struct cpuid_result r = { .eax = function, .ecx = index };
    __asm__ volatile("cpuid" : "+a"(r.eax), "=b"(r.ebx), "+c"(r.ecx), "=d"(r.edx));
    return r;
}

static inline uint8_t input_byte(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %w1, %b0" : "=a"(value) : "d"(port) : "memory");
    return value;
}

static inline void output_byte(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %b0, %w1" : : "a"(value), "d"(port) : "memory");
}

static inline uint64_t read_tsc(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void halt(void) { __asm__ volatile("hlt" : : : "memory"); }
static inline void allow_interrupts(void) { __asm__ volatile("sti" : : : "memory"); }
static inline void forbid_interrupts(void) { __asm__ volatile("cli" : : : "memory"); }
// One instruction during which an interrupt is taken: the one behind STI is not interrupted, the one behind that is.
static inline void interrupt_window(void) { __asm__ volatile("sti; nop; nop; cli" : : : "memory"); }
// No instruction for one: CLI stands in the shadow of STI.
static inline void no_interrupt_window(void) { __asm__ volatile("sti; cli" : : : "memory"); }
// An interrupt that comes in between is not lost: it ends the halt.
static inline void halt_for_interrupt(void) { __asm__ volatile("sti; hlt; cli" : : : "memory"); }
static inline void set_task_priority(uint64_t priority) { __asm__ volatile("movq %0, %%cr8" : : "r"(priority) : "memory"); }
static inline uint64_t task_priority(void) {
    uint64_t priority;
    __asm__ volatile("movq %%cr8, %0" : "=r"(priority) : : "memory");
    return priority;
}

static inline uint64_t read_msr(uint32_t index) {
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t index, uint64_t value) {
    __asm__ volatile("wrmsr" : : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(index) : "memory");
}

static inline void pause_processor(void) { __asm__ volatile("pause" : : : "memory"); }
static inline void invalidate_page(uint64_t address) { __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory"); }
static inline void undefined_instruction(void) { __asm__ volatile("ud2"); }
static inline void hypervisor_call(void) { __asm__ volatile("vmmcall" : : "a"(0) : "memory"); }

struct descriptor_table {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

static inline void load_idt(uint64_t base, uint16_t limit) {
    struct descriptor_table table = { limit, base };
    __asm__ volatile("lidt %0" : : "m"(table));
}

// --- Memory that host and guest, or two processors, both change: one access each, in program order

static inline uint64_t load64(uint64_t address) { return *(volatile uint64_t *)address; }
static inline uint32_t load32(uint64_t address) { return *(volatile uint32_t *)address; }
static inline uint16_t load16(uint64_t address) { return *(volatile uint16_t *)address; }
static inline uint8_t load8(uint64_t address) { return *(volatile uint8_t *)address; }
static inline void store64(uint64_t address, uint64_t value) { *(volatile uint64_t *)address = value; }
static inline void store32(uint64_t address, uint32_t value) { *(volatile uint32_t *)address = value; }
static inline void store16(uint64_t address, uint16_t value) { *(volatile uint16_t *)address = value; }
static inline void store8(uint64_t address, uint8_t value) { *(volatile uint8_t *)address = value; }

static inline uint64_t add_atomically(uint64_t address, uint64_t value) {
    return __atomic_fetch_add((uint64_t *)address, value, __ATOMIC_SEQ_CST);
}

// --- The image's own areas, all page aligned but the tables of code

#define GUEST_AREA(name, symbol) \
    static inline uint64_t name(void) { extern char symbol[]; return (uint64_t)symbol; }
GUEST_AREA(boot_ghcb, boot_ghcb_page)
GUEST_AREA(table_pool, table_pool_pages)
GUEST_AREA(table_pool_end, table_pool_pages_end)
GUEST_AREA(scratch_page, scratch_area)
GUEST_AREA(interrupt_table, interrupt_table_area)
GUEST_AREA(exception_stubs, exception_entry_stubs)
GUEST_AREA(interrupt_stubs, interrupt_entry_stubs)
GUEST_AREA(fixups_begin, guest_fixups_begin)
GUEST_AREA(fixups_end, guest_fixups_end)
GUEST_AREA(segment_table, guest_segment_table)
GUEST_AREA(application_entry, application_processor_entry)

#endif
