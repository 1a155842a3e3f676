// The first instructions of a guest, the stubs of its exceptions, and what the compiler expects of a C library.
//
// Boot ABI: 64-bit mode, identity mapped, RDI = address of the boot information, RSI = 0 on the bootstrap processor.

    .section .text.start, "ax"
    .globl start
start:
    cld
    cli
    testl %esi, %esi
    jnz park
    leaq boot_stack_end(%rip), %rsp
    xorl %ebp, %ebp
    call enter_segments
    call guest_start
park:
    hlt
    jmp park

// An application processor starts here with a stack of its own: RDI is its argument. Only guests that start one have it.
    .weak application_start
    .globl application_processor_entry
application_processor_entry:
    cld
    xorl %ebp, %ebp
    pushq %rdi
    pushq $0
    call enter_segments
    popq %rax
    popq %rdi
    call application_start
    jmp park

enter_segments:
    lgdt segment_table_pointer(%rip)
    popq %rax
    pushq $8
    pushq %rax
    lretq

    .section .rodata.segments, "a"
    .balign 8
    .globl guest_segment_table
guest_segment_table:
    .quad 0
    .quad 0x00af9b000000ffff    // 64-bit code
    .quad 0x00cf93000000ffff    // data
segment_table_pointer:
    .word 23
    .quad guest_segment_table

// Each stub has 16 bytes. Where the processor pushes no error code, the stub does.
    .section .text.exceptions, "ax"
    .balign 16
    .globl exception_entry_stubs
exception_entry_stubs:
    .set vector, 0
    .rept 32
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    pushq $0
    .endif
    pushq $vector
    jmp exception_entry
    .set vector, vector + 1
    .endr

    .balign 16
exception_entry:
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    call handle_exception
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp
    iretq

    .macro FUNCTION name
    .section .text.\name, "ax"
    .globl \name
\name:
    .endm

    FUNCTION memcpy
    movq %rdi, %rax
    movq %rdx, %rcx
    rep movsb
    ret

    FUNCTION memset
    movq %rdi, %r8
    movl %esi, %eax
    movq %rdx, %rcx
    rep stosb
    movq %r8, %rax
    ret

    FUNCTION memmove
    movq %rdi, %rax
    movq %rdx, %rcx
    cmpq %rsi, %rdi
    jbe 1f
    leaq -1(%rdi, %rcx), %rdi
    leaq -1(%rsi, %rcx), %rsi
    std
    rep movsb
    cld
    ret
1:  rep movsb
    ret

    .section .bss, "aw", @nobits
    .balign 4096
    .globl boot_ghcb_page, table_pool_pages, table_pool_pages_end, scratch_area, interrupt_table_area
boot_ghcb_page:
    .skip 4096
table_pool_pages:
    .skip 4096 * 8
table_pool_pages_end:
scratch_area:
    .skip 4096
interrupt_table_area:
    .skip 4096
    .skip 16384
boot_stack_end:

    .section .note.GNU-stack, "", @progbits
