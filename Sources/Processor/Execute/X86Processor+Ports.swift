// Port instructions: an SNP guest's are the host's, after #VC.

internal import Machine
internal import SNPArchitecture

extension X86Processor {
    /// - Spec: APM2 15.35.5; APM3 IN, OUT, INS, OUTS
    /// - Deviates: the I/O permission map of the task state segment is taken to forbid everything
    func executePort(_ i: Instruction) throws(Interruption) {
        let ioPrivilege = state.registers.rflags >> 12 & 3
        if isProtected, UInt64(cpl) > ioPrivilege { throw .exception(.protection()) }
        try askHost(.ioio)
        // Without the intercept nothing answers: the bus floats high.
        if i.mnemonic == .in { try write(0, of: i, ~0) }
    }
}
