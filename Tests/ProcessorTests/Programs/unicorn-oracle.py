"""Runs single instructions in unicorn, for modes that the tests' own processor cannot show.

Reads lines "MODE CODE REGISTERS FLAGS DATA" (registers as eight hexadecimal words, comma-separated; code and data as bytes in
hexadecimal) from the file named; its first line is the descriptor table. Prints "REGISTERS FLAGS IP SELECTORS CR0 DATA" for
each, or "exception N".
"""
import sys
from unicorn import Uc, UcError, UC_ARCH_X86, UC_MODE_16, UC_MODE_32, UC_HOOK_INTR, UC_ERR_FETCH_UNMAPPED, UC_ERR_INSN_INVALID
from unicorn.x86_const import *

TABLE, CODE, DATA = 0x1000, 0x4000, 0x8000
NAMES = [UC_X86_REG_EAX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_EBX, UC_X86_REG_ESP, UC_X86_REG_EBP, UC_X86_REG_ESI,
         UC_X86_REG_EDI]
SEGMENTS = [UC_X86_REG_ES, UC_X86_REG_CS, UC_X86_REG_SS, UC_X86_REG_DS, UC_X86_REG_FS, UC_X86_REG_GS]
lines = open(sys.argv[1]).read().splitlines()
table = bytes.fromhex(lines[0])
raised = []


def stop(uc, number, _):
    raised.append(number)
    uc.emu_stop()


def make(bits):
    uc = Uc(UC_ARCH_X86, UC_MODE_32 if bits == '32' else UC_MODE_16)
    uc.mem_map(0, 0x200000)
    uc.hook_add(UC_HOOK_INTR, stop)
    return uc


machines = {}
for line in lines[1:]:
    bits, code, registers, flags, data = line.split()
    if bits not in machines: machines[bits] = make(bits)
    uc = machines[bits]
    code = bytes.fromhex(code)
    uc.mem_write(TABLE, table)
    uc.mem_write(CODE, code + b'\x90' * 16)
    uc.mem_write(DATA, bytes.fromhex(data))
    # Translations of the code before are dropped.
    uc.ctl_remove_cache(CODE, CODE + 64)
    uc.reg_write(UC_X86_REG_CR0, 0x31 if bits == '32' else 0x30)
    uc.reg_write(UC_X86_REG_CR4, 0x600)
    uc.reg_write(UC_X86_REG_MXCSR, 0x1f80)
    uc.reg_write(UC_X86_REG_GDTR, (0, TABLE, len(table) - 1, 0))
    uc.reg_write(UC_X86_REG_IDTR, (0, 0, 0, 0))
    # What the instruction before has loaded is forgotten.
    uc.reg_write(UC_X86_REG_CS, 8 if bits == '32' else 0)
    for segment in SEGMENTS:
        if segment != UC_X86_REG_CS: uc.reg_write(segment, 16 if bits == '32' else 0)
    for name, value in zip(NAMES, registers.split(',')): uc.reg_write(name, int(value, 16))
    uc.reg_write(UC_X86_REG_EFLAGS, int(flags, 16))
    raised.clear()
    try:
        uc.emu_start(CODE, 0xffff, count=1)
    except UcError as error:
        # A branch to where no memory is has been taken. Otherwise no such instruction, or memory that there is not.
        if not raised and error.errno != UC_ERR_FETCH_UNMAPPED: raised.append(6 if error.errno == UC_ERR_INSN_INVALID else 13)
    if raised:
        print('exception', raised[0])
        # It would take the next exception for one during this one.
        del machines[bits]
        continue
    print(','.join('%x' % uc.reg_read(name) for name in NAMES), '%x' % uc.reg_read(UC_X86_REG_EFLAGS),
          '%x' % uc.reg_read(UC_X86_REG_EIP), ','.join('%x' % uc.reg_read(name) for name in SEGMENTS),
          '%x' % uc.reg_read(UC_X86_REG_CR0), uc.mem_read(DATA, len(data) // 2).hex())
