#define _GNU_SOURCE
#include "NativeProcessor.h"

#if defined(__x86_64__)
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

// What FXSAVE64 and FXRSTOR64 move.
uint8_t native_x87[512] __attribute__((aligned(64)));
static uint8_t *code_page;
static sigjmp_buf recovery;

void native_enter(struct native_state *state, void *code);
void native_leave(void);

// The state's address is kept on the stack, where the code under test does not look.
__asm__(
    ".text\n"
    ".globl native_enter\n"
    "native_enter:\n"
    "  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "  push %rdi; push %rsi\n"
    "  fxrstor64 native_x87(%rip)\n"
    "  ldmxcsr 136(%rdi)\n"
    "  movdqu 144(%rdi), %xmm0;  movdqu 160(%rdi), %xmm1;  movdqu 176(%rdi), %xmm2;  movdqu 192(%rdi), %xmm3\n"
    "  movdqu 208(%rdi), %xmm4;  movdqu 224(%rdi), %xmm5;  movdqu 240(%rdi), %xmm6;  movdqu 256(%rdi), %xmm7\n"
    "  movdqu 272(%rdi), %xmm8;  movdqu 288(%rdi), %xmm9;  movdqu 304(%rdi), %xmm10; movdqu 320(%rdi), %xmm11\n"
    "  movdqu 336(%rdi), %xmm12; movdqu 352(%rdi), %xmm13; movdqu 368(%rdi), %xmm14; movdqu 384(%rdi), %xmm15\n"
    "  mov 0(%rdi), %rax; mov 8(%rdi), %rcx; mov 16(%rdi), %rdx; mov 24(%rdi), %rbx; mov 40(%rdi), %rbp\n"
    "  mov 48(%rdi), %rsi; mov 64(%rdi), %r8; mov 72(%rdi), %r9; mov 80(%rdi), %r10; mov 88(%rdi), %r11\n"
    "  mov 96(%rdi), %r12; mov 104(%rdi), %r13; mov 112(%rdi), %r14; mov 120(%rdi), %r15\n"
    "  push 128(%rdi); mov 56(%rdi), %rdi; popfq\n"
    "  jmp *(%rsp)\n"
    ".globl native_leave\n"
    "native_leave:\n"
    "  pushfq; push %rdi; mov 24(%rsp), %rdi\n"
    "  mov %rax, 0(%rdi); mov %rcx, 8(%rdi); mov %rdx, 16(%rdi); mov %rbx, 24(%rdi); mov %rbp, 40(%rdi)\n"
    "  mov %rsi, 48(%rdi); mov %r8, 64(%rdi); mov %r9, 72(%rdi); mov %r10, 80(%rdi); mov %r11, 88(%rdi)\n"
    "  mov %r12, 96(%rdi); mov %r13, 104(%rdi); mov %r14, 112(%rdi); mov %r15, 120(%rdi)\n"
    "  pop %rax; mov %rax, 56(%rdi); pop %rax; mov %rax, 128(%rdi)\n"
    "  movdqu %xmm0, 144(%rdi);  movdqu %xmm1, 160(%rdi);  movdqu %xmm2, 176(%rdi);  movdqu %xmm3, 192(%rdi)\n"
    "  movdqu %xmm4, 208(%rdi);  movdqu %xmm5, 224(%rdi);  movdqu %xmm6, 240(%rdi);  movdqu %xmm7, 256(%rdi)\n"
    "  movdqu %xmm8, 272(%rdi);  movdqu %xmm9, 288(%rdi);  movdqu %xmm10, 304(%rdi); movdqu %xmm11, 320(%rdi)\n"
    "  movdqu %xmm12, 336(%rdi); movdqu %xmm13, 352(%rdi); movdqu %xmm14, 368(%rdi); movdqu %xmm15, 384(%rdi)\n"
    "  fxsave64 native_x87(%rip)\n"
    "  fninit; cld\n"
    "  pop %rsi; pop %rdi; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "  ret\n");

static volatile int raised;
static volatile uint32_t raised_mxcsr;

static void on_signal(int number, siginfo_t *info, void *context) {
    (void)info;
    raised = number;
    raised_mxcsr = ((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr;
    siglongjmp(recovery, 1);
}

int native_prepare(uint64_t data_address) {
    if (code_page) return 1;
    void *data = mmap((void *)data_address, 1 << 16, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (data != (void *)data_address) return 0;
    void *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED) return 0;
    code_page = code;
    return 1;
}

int native_run(const uint8_t *code, int count, struct native_state *state) {
    if (!code_page || count > 64) return 0;
    memcpy(code_page, code, count);
    // jmp *0(%rip), and where to.
    static const uint8_t jump[] = {0xff, 0x25, 0, 0, 0, 0};
    memcpy(code_page + count, jump, sizeof jump);
    void *back = (void *)native_leave;
    memcpy(code_page + count + sizeof jump, &back, sizeof back);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_NODEFER | SA_SIGINFO}, old[4];
    static const int signals[4] = {SIGILL, SIGFPE, SIGSEGV, SIGBUS};
    for (int i = 0; i < 4; i++) sigaction(signals[i], &action, &old[i]);
    volatile int done = 0;
    raised = 0;
    memset(native_x87, 0, sizeof native_x87);
    memcpy(native_x87, state->x87, sizeof state->x87);
    memcpy(native_x87 + 24, &state->mxcsr, 4);
    if (!sigsetjmp(recovery, 1)) {
        native_enter(state, code_page);
        done = 1;
        memcpy(state->x87, native_x87, sizeof state->x87);
        memcpy(&state->mxcsr, native_x87 + 24, 4);
    } else {
        state->mxcsr = raised_mxcsr;
    }
    state->signal = (uint64_t)raised;
    uint32_t usual = 0x1f80;
    __asm__ volatile("fninit; ldmxcsr %0; cld" : : "m"(usual));
    for (int i = 0; i < 4; i++) sigaction(signals[i], &old[i], 0);
    return done;
}
#else
int native_prepare(uint64_t data_address) { (void)data_address; return 0; }
int native_run(const uint8_t *code, int count, struct native_state *state) {
    (void)code; (void)count; (void)state;
    return 0;
}
#endif
